// A flood from forged sources, beside quiet connections and new ones.

import { availableParallelism } from 'node:os'

import { ControlClient } from '../../lib/index.ts'
import type { Case, Turn } from './cases.ts'
import { figureIn } from './measure.ts'
import { ports } from './network.ts'
import { controlPath } from './rivals.ts'

/** A turn takes so many times what was asked for: waits show only after seconds. */
const turns = 5
/** A connection without progress for so long is broken. */
const stallMs = 15_000
const openedPerSecond = 2500
const newPerSecond = 50

interface Waits {
  readonly longest: number
  readonly broken: number
}

/** Runs `during` beside the quiet connections; what they waited is taken from then on to their end. */
async function besideQuiet({ meter, quiet }: Turn, during: () => Promise<unknown>): Promise<Waits> {
  const client = meter.start('tcp-long', ports.requests, 'quiet', {
    connections: quiet,
    intervalMs: 1000,
    openRate: openedPerSecond,
    payloadBytes: 64,
    stallMs,
    reportMs: 500,
  })
  const connected = await client.message('connected', 60_000)
  if (figureIn(connected, 'broken') > 0) throw new Error(`before the flood: ${JSON.stringify(connected)}`)
  await client.waitFor('two exchanges of each', ({ records }) => Number(records) >= 2 * quiet)
  let longest = 0
  client.onMessage((message) => {
    if (message.event === 'state') longest = Math.max(longest, figureIn(message, 'slowestMs'))
  })
  await during()
  client.endInput()
  await client.exited
  const summary = client.latest('summary')
  if (summary === undefined) throw new Error(`the quiet client ended without a summary: ${client.complaints}`)
  const broken = figureIn(summary, 'broken')
  return { longest: broken > 0 ? Math.max(longest, stallMs) : longest, broken }
}

/** Frames that the rings of the turn's director could not hold so far; not a number for others. */
async function overflowed({ contender, surroundings }: Turn): Promise<number> {
  if (contender.again === undefined) return Number.NaN
  await using client = await ControlClient.connect({ path: controlPath(surroundings) })
  const { statistics } = await client.snapshot()
  return (statistics.ports ?? []).reduce(
    (sum, { ringDrops, unknownDrops }) => sum + ringDrops + unknownDrops,
    0,
  )
}

function flood(kind: 'syn' | 'ack'): Case {
  return {
    title: `a flood of ${kind.toUpperCase()}s from random sources`,
    traffic: 'packets',
    only: ['director', 'kernel'],
    startsAnew: true,
    figures: {
      longest: { title: 'longest wait of quiet connections', unit: 'ms', better: 'less' },
      broken: { title: 'quiet connections that broke', unit: '', better: 'less' },
      new: { title: 'new connections of others', unit: '1/s', better: 'more' },
      offered: { title: 'forged segments sent', unit: '1/s', better: 'more' },
      dropped: { title: 'frames that the rings could not hold', unit: '', better: 'less' },
    },
    run: async (turn) => {
      const { meter, site } = turn
      const seconds = turn.seconds * turns
      let [fresh, offered] = [Number.NaN, Number.NaN]
      const waits = await besideQuiet(turn, async () => {
        const limits = { rate: newPerSecond, concurrency: 1, maxSeconds: seconds, stallMs }
        const opening = meter.start('tcp-short', ports.requests, 'others', limits)
        const processor = availableParallelism() - 1
        const forged = await meter.forge(site, { kind, seconds, processor })
        await opening.exited
        fresh = figureIn(opening.latest('summary') ?? { event: 'none' }, 'ok') / seconds
        offered = figureIn(forged, 'sent') / figureIn(forged, 'seconds')
      })
      return { ...waits, new: fresh, offered, dropped: await overflowed(turn) }
    },
  }
}

export const [synFlood, ackFlood] = [flood('syn'), flood('ack')]
