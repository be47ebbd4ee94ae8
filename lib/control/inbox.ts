/** Things that wait until somebody takes them, as an async iterator; beyond a limit the oldest go. */
export class Inbox<T> {
  readonly #limit: number
  readonly #items: T[] = []
  #end: { readonly error: Error | undefined } | undefined
  #wake: (() => void) | undefined

  /** Keeps `limit` things. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Puts one in. Answers whether an older one had to go. */
  put(item: T): boolean {
    if (this.#end) return false
    const full = this.#items.length >= this.#limit
    if (full) this.#items.shift()
    this.#items.push(item)
    this.#rouse()
    return full
  }

  /** No more will come; with an error, whoever waits gets it. */
  finish(error?: Error): void {
    this.#end ??= { error }
    this.#rouse()
  }

  /** All things, from the oldest, until it is finished. */
  async *take(): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const item = this.#items.shift()
      if (item !== undefined) yield item
      else if (this.#end?.error) throw this.#end.error
      else if (this.#end) return
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
    }
  }

  #rouse(): void {
    this.#wake?.()
    this.#wake = undefined
  }
}
