/** What a control socket has seen. */
export interface ControlStatistics {
  /** Clients connected now. */
  readonly clients: number
  /** Clients that connected. */
  readonly accepted: number
  /** Clients sent away because there were too many. */
  readonly tooMany: number
  /** Clients sent away because they belong to another user. */
  readonly denied: number
  /** Requests answered with a result. */
  readonly answered: number
  /** Requests answered with an error. */
  readonly refused: number
  /** Clients cut off because a line was too long. */
  readonly oversized: number
  /** Clients cut off because a line that had begun did not end in time. */
  readonly unfinished: number
  /** Clients cut off because they did not read what was sent to them. */
  readonly slowReaders: number
  /** Subscriptions now. */
  readonly subscriptions: number
  /** Statistics that were left out because the reader was behind. */
  readonly skipped: number
}

/** The same, while counting. */
export type ControlCounters = { -readonly [K in keyof ControlStatistics]: number }

/** All at zero. */
export function newCounters(): ControlCounters {
  return {
    clients: 0,
    accepted: 0,
    tooMany: 0,
    denied: 0,
    answered: 0,
    refused: 0,
    oversized: 0,
    unfinished: 0,
    slowReaders: 0,
    subscriptions: 0,
    skipped: 0,
  }
}
