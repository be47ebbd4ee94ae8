const NEWLINE = 0x0a

/** Cuts a stream of octets into lines, keeping at most one incomplete line of a bounded length. */
export class Lines {
  readonly #limit: number
  readonly #kept: Buffer[] = []
  #length = 0

  /** Lines of more than `limit` octets are refused. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Whether a line has begun and not ended. */
  get begun(): boolean {
    return this.#length > 0
  }

  /** Takes octets; yields the lines that they end. Yields undefined, and no more, when a line is too long. */
  *take(chunk: Buffer): Generator<Buffer | undefined> {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      if (this.#length + end - start > this.#limit) return yield undefined
      yield this.#finish(chunk.subarray(start, end))
      start = end + 1
    }
    const rest = chunk.subarray(start)
    if (this.#length + rest.length > this.#limit) return yield undefined
    if (rest.length > 0) this.#kept.push(rest)
    this.#length += rest.length
  }

  #finish(tail: Buffer): Buffer {
    if (this.#length === 0) return tail
    const line = Buffer.concat([...this.#kept, tail])
    this.#kept.length = 0
    this.#length = 0
    return line
  }
}
