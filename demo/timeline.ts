/** One step of the demo. */
export interface Step {
  readonly title: string
  /** When it begins, as a share of the whole. */
  readonly at: number
  state: 'waiting' | 'running' | 'done'
}

/** The steps of the demo on a common clock, which starts with the first step. */
export class Timeline {
  readonly steps: readonly Step[]
  readonly seconds: number
  #startedAt: number | undefined

  constructor(seconds: number, steps: readonly (readonly [at: number, title: string])[]) {
    this.seconds = seconds
    this.steps = steps.map(([at, title]) => ({ at, title, state: 'waiting' }))
  }

  /** Starts the clock. */
  start(): void {
    this.#startedAt = performance.now()
  }

  /** Seconds since the clock was started, 0 before. */
  get elapsed(): number {
    return this.#startedAt === undefined ? 0 : (performance.now() - this.#startedAt) / 1000
  }

  /** How much of the planned time has gone, 0 to 1. */
  get progress(): number {
    return Math.min(1, this.elapsed / this.seconds)
  }

  /** The step that runs. */
  get current(): Step | undefined {
    return this.steps.find((step) => step.state === 'running')
  }

  /** Waits until a step's time has come and marks it running, the one before it done. */
  async reach(title: string): Promise<void> {
    const step = this.steps.find((candidate) => candidate.title === title)
    if (step === undefined) throw new Error(`no step is called ${title}`)
    const leftMs = (step.at * this.seconds - this.elapsed) * 1000
    if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs))
    const before = this.current
    if (before !== undefined) before.state = 'done'
    step.state = 'running'
  }

  /** Marks the last step done. */
  finish(): void {
    const last = this.current
    if (last !== undefined) last.state = 'done'
  }
}
