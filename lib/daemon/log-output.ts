/** Where lines go: standard output, or what stands in for it. */
export interface LineSink {
  /** Writes; `written` is told what came of it. */
  write(text: string, written: (error?: Error | null) => void): unknown
}

/**
 * The log's way out. A director goes on when nobody takes its log, or a disk is full: that is told
 * once, on standard error, and how many lines are missing, once lines are taken again.
 */
export class LogOutput {
  readonly #out: LineSink
  readonly #complain: (text: string) => void
  #lost = 0

  /** Lines go to `out`; `complain` is told when they cannot, and when they can again. */
  constructor(out: LineSink, complain: (text: string) => void) {
    this.#out = out
    this.#complain = complain
  }

  /** Writes a whole line. */
  write(line: string): void {
    this.#out.write(line, (error) => (error ? this.#failed(error) : this.#taken()))
  }

  #failed(error: Error): void {
    this.#lost += 1
    if (this.#lost === 1)
      this.#complain(`the log cannot be written: ${error.message}; the director goes on without it\n`)
  }

  #taken(): void {
    if (this.#lost > 0) this.#complain(`the log is written again; lines that are missing: ${this.#lost}\n`)
    this.#lost = 0
  }
}

/** That of this process. */
export function processLogOutput(): LogOutput {
  // What failed is told by the write itself.
  process.stdout.on('error', () => undefined)
  process.stderr.on('error', () => undefined)
  return new LogOutput(process.stdout, (text) => process.stderr.write(text))
}
