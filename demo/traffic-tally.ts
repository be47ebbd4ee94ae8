import type { Message } from '../test/lab/lab-process.ts'

/** Long-lived flows: TCP connections or SCTP associations. */
export interface LongTally {
  up: number
  broken: number
  closed: number
  records: number
  recordsPerSecond: number
  /** Flows that are up, by the name of the server. */
  servers: Readonly<Record<string, number>>
  /** Why flows broke, by name. */
  causes: Readonly<Record<string, number>>
}

/** Short connections: one each for a request and its answer. */
export interface ShortTally {
  done: number
  refused: number
  /** Broken after they were open, or never answered, by cause. */
  failed: Record<string, number>
  perSecond: number
  medianMs: number | undefined
  /** Connections done, by the name of the server. */
  servers: Record<string, number>
}

export function emptyLong(): LongTally {
  return { up: 0, broken: 0, closed: 0, records: 0, recordsPerSecond: 0, servers: {}, causes: {} }
}

export function emptyShort(): ShortTally {
  return { done: 0, refused: 0, failed: {}, perSecond: 0, medianMs: undefined, servers: {} }
}

/** Takes a message of a program with long-lived flows in. */
export function observeLong(tally: LongTally, message: Message): void {
  if (!['state', 'connected', 'summary'].includes(message.event)) return
  const { up, broken, closed, records, recordsPerSecond, servers, causes } = message as unknown as LongTally
  Object.assign(tally, { up, broken, closed, records, servers, causes })
  if (message.event === 'state') tally.recordsPerSecond = recordsPerSecond
}

/** What `tcp-short` says of a second. */
interface Second {
  readonly ok: number
  readonly refused: number
  readonly failed: Readonly<Record<string, number>>
  readonly perSecond: number
  readonly wholeP50Ms: number | null
  readonly servers: Readonly<Record<string, number>>
}

/** Takes a message of the program with short connections in. */
export function observeShort(tally: ShortTally, message: Message): void {
  const second = message as unknown as Second
  if (message.event === 'second') {
    tally.done += second.ok
    tally.refused += second.refused
    addUp(tally.failed, second.failed)
    addUp(tally.servers, second.servers)
    tally.perSecond = second.perSecond
    tally.medianMs = second.wholeP50Ms ?? undefined
  } else if (message.event === 'summary') {
    Object.assign(tally, { done: second.ok, refused: second.refused })
    tally.failed = { ...second.failed }
    tally.servers = { ...second.servers }
  }
}

/** All flows that failed, whatever the cause. */
export function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}

function addUp(totals: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(more)) totals[name] = (totals[name] ?? 0) + count
}
