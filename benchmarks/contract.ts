// What the director promises, as ratios of one run of `npm run bench:forwarding`.

import { ratiosOf, type Results } from './forwarding/results.ts'
import { median } from './quantiles.ts'

/** A promise: the director's figure, by itself or over another figure, and its bound. */
export interface Promised {
  /** `case.figure` of the director. */
  readonly figure: string
  /** The contender that stands for the director: `director` unless given. */
  readonly of?: 'director' | 'rings'
  /** What it is divided by: another contender's same figure, or another figure of the same one. */
  readonly over?: { readonly rival: string } | { readonly figure: string }
  readonly atLeast?: number
  readonly atMost?: number
  /** Held against the worst round, not the median. */
  readonly inEveryRound?: boolean
}

/** All promises that the forwarding benchmark checks. */
export const contract: readonly Promised[] = [
  { figure: 'udp-10k.rate', over: { rival: 'dnat' }, atLeast: 1 },
  { figure: 'udp-10k.rate', over: { rival: 'kernel' }, atLeast: 0.85 },
  { figure: 'udp-10k.rate', over: { rival: 'bare' }, atLeast: 0.93 },
  // Both in user space: a thousand flows take the fast path, which has no room for a million.
  { figure: 'udp-1m.cost', of: 'rings', over: { figure: 'udp-1k.cost' }, atMost: 1.5 },
  { figure: 'bulk-1.rate', over: { rival: 'kernel' }, atLeast: 0.95 },
  { figure: 'bulk-1.rate', over: { rival: 'haproxy' }, atLeast: 2 },
  { figure: 'bulk-1.cost', over: { rival: 'kernel' }, atMost: 1.4 },
  { figure: 'connections.rate', over: { rival: 'dnat' }, atLeast: 1.2 },
  { figure: 'connections.rate', over: { rival: 'haproxy' }, atLeast: 1.4 },
  { figure: 'connections.rate', over: { rival: 'kernel' }, atLeast: 0.95 },
  { figure: 'requests-idle.p50', over: { rival: 'kernel' }, atMost: 1.15 },
  { figure: 'requests-idle.p99', over: { rival: 'kernel' }, atMost: 1.3 },
  { figure: 'requests-10k.p50', over: { rival: 'kernel' }, atMost: 1.15 },
  { figure: 'requests-10k.p99', over: { rival: 'kernel' }, atMost: 1.3 },
  { figure: 'overload.kept', atLeast: 0.9 },
  { figure: 'overload.command', atMost: 50 },
  { figure: 'idle.share', atMost: 0.5 },
  { figure: 'flood-syn.longest', over: { rival: 'kernel' }, atMost: 1.5 },
  { figure: 'flood-syn.broken', atMost: 0, inEveryRound: true },
  { figure: 'flood-syn.new', over: { rival: 'kernel' }, atLeast: 0.95 },
  { figure: 'flood-ack.longest', over: { rival: 'kernel' }, atMost: 1.5 },
  { figure: 'flood-ack.broken', atMost: 0, inEveryRound: true },
  { figure: 'flood-ack.new', over: { rival: 'kernel' }, atLeast: 0.95 },
]

/** A promise beside what was seen. */
export interface Checked {
  readonly promised: Promised
  /** As text: `udp-10k.rate over kernel`. */
  readonly name: string
  /** As text: `at least 0.85`. */
  readonly bound: string
  /** Median of the rounds, or the worst of them; absent when this run did not measure it. */
  readonly seen: number | undefined
  readonly isKept: boolean
}

/** Holds results against the contract. What was not measured is neither kept nor broken. */
export function check(results: Results, promises: readonly Promised[] = contract): Checked[] {
  return promises.map((promised) => {
    const values = valuesOf(results, promised)
    const { atLeast, atMost, figure, of, over, inEveryRound = false } = promised
    const worst = atMost === undefined ? Math.min : Math.max
    const seen = values.length === 0 ? undefined : inEveryRound ? worst(...values) : median(values)
    const isKept =
      seen === undefined || (seen >= (atLeast ?? Number.NEGATIVE_INFINITY) && seen <= (atMost ?? Infinity))
    const divisor = over === undefined ? '' : ` over ${'rival' in over ? over.rival : over.figure}`
    const limit = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`
    const bound = inEveryRound ? `${limit} in every round` : limit
    return { promised, name: `${figure}${divisor}${of === undefined ? '' : ` (${of})`}`, bound, seen, isKept }
  })
}

function valuesOf(results: Results, { figure, of = 'director', over }: Promised): readonly number[] {
  const own = results.rounds(figure, of)
  if (over === undefined) return own
  const other = 'rival' in over ? results.rounds(figure, over.rival) : results.rounds(over.figure, of)
  return ratiosOf(own, other)
}
