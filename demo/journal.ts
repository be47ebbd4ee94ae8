/** One thing that happened. */
export interface Entry {
  readonly seconds: number
  readonly text: string
  readonly kind: 'step' | 'note' | 'bad'
}

/** What happened in the demo, in order. */
export class Journal {
  readonly entries: Entry[] = []
  readonly #clock: () => number
  readonly #listener: (entry: Entry) => void

  constructor(clock: () => number, listener: (entry: Entry) => void = () => undefined) {
    this.#clock = clock
    this.#listener = listener
  }

  /** Writes an entry down, with the time of the demo's clock. */
  add(text: string, kind: Entry['kind'] = 'note'): void {
    const entry: Entry = { seconds: this.#clock(), text, kind }
    this.entries.push(entry)
    this.#listener(entry)
  }
}
