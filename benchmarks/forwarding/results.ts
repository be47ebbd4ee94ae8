// Figures of a run, by case, contender and round.

/** Ratios round by round: the first over the second, as far as both go. Two of which none broke are alike. */
export function ratiosOf(over: readonly number[], under: readonly number[]): number[] {
  return over.slice(0, under.length).map((value, round) => {
    const other = under[round] ?? Number.NaN
    return value === other ? 1 : value / other
  })
}

/** Connections that failed in a turn. */
export interface Failure {
  readonly case: string
  readonly rival: string
  readonly round: number
  readonly what: string
}

/** What was measured: figures are named `case.figure`. */
export class Results {
  readonly #figures = new Map<string, Map<string, number[]>>()
  readonly #failures: Failure[] = []

  /** Adds one contender's figures of one round. */
  add(caseName: string, rival: string, figures: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(figures)) {
      if (Number.isNaN(value)) continue
      const key = `${caseName}.${name}`
      const rivals = this.#figures.get(key) ?? new Map<string, number[]>()
      this.#figures.set(key, rivals.set(rival, [...(rivals.get(rival) ?? []), value]))
    }
  }

  /** Adds connections that failed. */
  addFailure(failure: Failure): void {
    this.#failures.push(failure)
  }

  /** Connections that failed, turn by turn. */
  get failures(): readonly Failure[] {
    return this.#failures
  }

  /** What a contender's rounds had for a figure; empty when it was not measured. */
  rounds(figure: string, rival: string): readonly number[] {
    return this.#figures.get(figure)?.get(rival) ?? []
  }

  /** Names of the figures that were measured. */
  get figures(): readonly string[] {
    return [...this.#figures.keys()]
  }

  /** Contenders that have a figure. */
  rivals(figure: string): readonly string[] {
    return [...(this.#figures.get(figure)?.keys() ?? [])]
  }
}
