import { DirectorProgram } from './director-program.ts'
import type { Lab } from './topology.ts'
import type { Message } from './lab-process.ts'

/**
 * What BFD at 3 x 100 ms would need to see that a director is gone. The lab has no BFD and no BGP:
 * the cluster sees the process end, waits this long, and takes the director's route away.
 */
const detectionMs = 300

/** Something a director told, and which one. */
export type Listener = (director: number, message: Message) => void

/** The directors of a lab: started, announced to the router while they live, and watched. */
export class Cluster {
  readonly lab: Lab
  readonly #options: object
  readonly #programs = new Map<number, DirectorProgram>()
  readonly #withdrawn = new Map<number, Promise<void>>()
  readonly #doomed = new Set<DirectorProgram>()
  readonly #listener: Listener
  /** Directors that ended although nobody asked them to: how, and what they said. */
  readonly accidents: string[] = []

  /** Each director gets the same `options` of `Director.start()`. */
  constructor(lab: Lab, options: object, listener: Listener = () => undefined) {
    this.lab = lab
    this.#options = options
    this.#listener = listener
  }

  /** Starts a director and, once it forwards, announces it to the router. */
  async start(index: number): Promise<DirectorProgram> {
    await this.withdrawn(index)
    const program = await DirectorProgram.start(this.lab, index, this.#options)
    this.#programs.set(index, program)
    program.process.onMessage((message) => this.#listener(index, message))
    this.#withdrawn.set(index, this.#watch(program))
    await this.lab.router.announce(index)
    return program
  }

  /** Starts all directors of the lab. */
  async startAll(): Promise<void> {
    await Promise.all(this.lab.directors.map((_, index) => this.start(index + 1)))
  }

  /** A running director. */
  director(index: number): DirectorProgram {
    const program = this.#programs.get(index)
    if (program === undefined) throw new Error(`director ${index} does not run`)
    return program
  }

  /** Numbers of the running directors. */
  get running(): readonly number[] {
    return [...this.#programs.keys()].toSorted((a, b) => a - b)
  }

  /** Kills a director as a crash would; the router goes on using it until `withdrawn()`. */
  async kill(index: number): Promise<void> {
    const program = this.director(index)
    this.#doomed.add(program)
    await program.kill()
  }

  /** Resolves when the router has stopped using a director that ended. */
  async withdrawn(index: number): Promise<void> {
    await this.#withdrawn.get(index)
  }

  /** Calls a method on every running director. */
  async callAll(method: string, parameters: object = {}, timeoutMs?: number): Promise<unknown[]> {
    const programs = [...this.#programs.values()]
    return Promise.all(programs.map((program) => program.call(method, parameters, timeoutMs)))
  }

  /** Takes the routes away, then ends every director in order. */
  async close(): Promise<void> {
    const programs = [...this.#programs.values()]
    for (const { index } of programs) await this.lab.router.withdraw(index)
    await Promise.all(programs.map((program) => program.close()))
    await Promise.all(this.#withdrawn.values())
  }

  async #watch(program: DirectorProgram): Promise<void> {
    const { status, signal } = await program.process.exited
    this.#programs.delete(program.index)
    if (status !== 0 && !this.#doomed.delete(program)) {
      const end = signal ?? `status ${status}`
      this.accidents.push(`director ${program.index} ended with ${end}: ${program.process.complaints}`)
    }
    if (!this.lab.router.announced.includes(program.index)) return
    await new Promise((resolve) => setTimeout(resolve, detectionMs))
    await this.lab.router.withdraw(program.index)
  }
}
