/** Pseudo-random numbers from a seed (mulberry32), so that a failed run can be repeated. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A number from `low` to below `high`. */
  between(low: number, high: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return low + (((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * (high - low)
  }

  /** One element of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    const picked = list[Math.floor(this.between(0, list.length))]
    if (picked === undefined) throw new RangeError('nothing to pick from')
    return picked
  }
}

/** The seed of this run: `L4_SEED`, or a new one. */
export function seedOfRun(): number {
  return Number(process.env['L4_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
}
