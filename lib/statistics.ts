import { pause } from './abort.js'
import { Endable } from './endable.js'
import { abortedError, isDirectorError } from './errors.js'
import { integer, object } from './options/check.js'
import type { Check } from './options/check.js'
import { abortSignal } from './options/start.js'
import type { LiveStatistics } from './live-snapshot.js'

/** How `statistics()` iterates. */
export interface StatisticsOptions {
  /** Milliseconds between two snapshots, 10 to 86400000. Default: 1000. */
  readonly intervalMs?: number
  /** Ends the iteration with `ERR_DIRECTOR_ABORTED` when aborted. */
  readonly signal?: AbortSignal
}

/** The options of `statistics()`. */
export const statisticsOptions: Check<StatisticsOptions> = object<StatisticsOptions>(
  { intervalMs: integer(10, 86_400_000), signal: abortSignal },
  [],
)

/** Snapshots at an interval, the first at once, until the director is closed. */
export function statisticsAt(
  snapshot: () => Promise<LiveStatistics>,
  closed: AbortSignal,
  options: StatisticsOptions,
): Endable<LiveStatistics> {
  return new Endable((ended) => snapshots(snapshot, closed, ended, options))
}

async function* snapshots(
  snapshot: () => Promise<LiveStatistics>,
  closed: AbortSignal,
  ended: AbortSignal,
  { intervalMs = 1000, signal }: StatisticsOptions,
): AsyncGenerator<LiveStatistics, void, undefined> {
  for (;;) {
    if (signal?.aborted) throw abortedError('statistics()', signal)
    if (closed.aborted) return
    const next = await snapshot().catch(endedBy(closed))
    if (next === undefined) return
    yield next
    await pause(intervalMs, closed, ended, signal)
  }
}

/** A refusal because the director was closed ends the iteration; anything else is thrown. */
function endedBy(closed: AbortSignal): (error: unknown) => undefined {
  return (error) => {
    if (closed.aborted && isDirectorError(error) && error.code === 'ERR_DIRECTOR_CLOSED') return undefined
    throw error
  }
}
