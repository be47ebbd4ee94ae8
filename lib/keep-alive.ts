const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Holds the event loop open for as long as somebody wants it. */
export class KeepAlive {
  readonly #timer: NodeJS.Timeout = setInterval(() => undefined, LONGEST_TIMER_MS)

  /** Holds. */
  ref(): void {
    this.#timer.ref()
  }

  /** Lets go. */
  unref(): void {
    this.#timer.unref()
  }

  /** Lets go for good. */
  end(): void {
    clearInterval(this.#timer)
  }
}
