type Result<T> = IteratorResult<T, void>

const OVER: { readonly done: true; readonly value: undefined } = { done: true, value: undefined }

/**
 * An async generator whose `return()` ends at once, also while a `next()` waits: that `next()` has
 * nothing more. A plain async generator's `return()` stands in line behind it.
 */
export class Endable<T> implements AsyncGenerator<T, void, undefined> {
  readonly #generator: AsyncGenerator<T, void, undefined>
  readonly #ending = new AbortController()
  readonly #waiting = new Set<(result: Result<T>) => void>()

  /** `make` makes what is iterated; its signal says that nobody wants more. */
  constructor(make: (ended: AbortSignal) => AsyncGenerator<T, void, undefined>) {
    this.#generator = make(this.#ending.signal)
  }

  /** The next one. */
  next(): Promise<Result<T>> {
    if (this.#ending.signal.aborted) return Promise.resolve(OVER)
    return new Promise((resolve, reject) => {
      this.#waiting.add(resolve)
      const settled = (): void => void this.#waiting.delete(resolve)
      this.#generator.next().then(resolve, reject).finally(settled)
    })
  }

  /** Ends the iteration. */
  return(): Promise<Result<T>> {
    this.#end()
    return Promise.resolve(OVER)
  }

  /** Ends the iteration with an error. */
  throw(error: unknown): Promise<Result<T>> {
    this.#end()
    return Promise.reject(error as Error)
  }

  /** Itself. */
  [Symbol.asyncIterator](): this {
    return this
  }

  /** Ends the iteration at the end of an `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  #end(): void {
    this.#ending.abort()
    for (const resolve of this.#waiting) resolve(OVER)
    this.#waiting.clear()
    // What the generator still gives or throws has nobody to go to: whoever ended it said so.
    this.#generator.return().catch(() => undefined)
  }
}
