// What a bench of the API is, and what comes of it.

/** One thing that is timed. */
export interface Case {
  readonly name: string
  /** What is done once each time. */
  readonly run: () => unknown
  /** Whether an answer of `run` is what it should be; asked once before the clock runs. */
  readonly isRight: (answer: unknown) => boolean
  /** How many frames, rows or services one time is about; 1 unless told otherwise. */
  readonly items?: number
}

/** Cases that belong in one table. */
export interface Subject {
  readonly title: string
  /** Makes what the cases share. */
  readonly prepare: () => readonly Case[]
}

/** What was seen of a case. */
export interface Row {
  readonly subject: string
  readonly name: string
  /** Microseconds one time took: in the middle, and 99 of 100 within. */
  readonly p50: number
  readonly p99: number
  readonly times: number
  readonly items: number
  /** Megaoctets by which the process grew meanwhile. */
  readonly grown: number
}
