// Where a contender's limits are: what it carries without loss, and what it does beyond.

import { ControlClient } from '../../lib/index.ts'
import { setTimeout as sleep } from 'node:timers/promises'

import type { Case, Turn } from './cases.ts'
import { ports, virtualAddress } from './network.ts'
import { controlPath } from './rivals.ts'

const flows = 10_000
const allowedLoss = 0.001
const steps = 7
const commandEveryMs = 50
/** One sender may not be able to offer so much. */
const senders = 2
/** Parts of an overload, each after as long a time of the best load. */
const slices = 4

/**
 * The largest of `steps` halvings between 0 and `most` that `passes`: what passes is looked for
 * above, what does not below. 0 when nothing passed.
 */
export async function bisect(most: number, passes: (value: number) => Promise<boolean>): Promise<number> {
  let [good, bad] = [0, most]
  for (let step = 0; step < steps; step++) {
    const middle = (good + bad) / 2
    if (await passes(middle)) good = middle
    else bad = middle
  }
  return good
}

export const lossFree: Case = {
  title: 'UDP, frames of 60 octets, 10,000 flows, without loss',
  traffic: 'packets',
  figures: { rate: { title: 'datagrams, fewer than 1 in 1000 lost', unit: '1/s', better: 'more' } },
  run: async (turn) => {
    const { meter, site, seconds } = turn
    const full = await meter.flood(site, { flows, seconds })
    const rate = await bisect((full.arrived / full.seconds) * 1.2, async (tried) => {
      const {
        sent,
        arrived,
        seconds: took,
      } = await meter.flood(site, {
        flows,
        seconds: trialSeconds(turn),
        rate: tried,
      })
      // A sender that could not keep the rate has not tried it.
      return arrived >= sent * (1 - allowedLoss) && sent >= tried * took * 0.97
    })
    return { rate }
  },
}

/** The offered rate of which most arrives. */
async function bestLoad(turn: Turn): Promise<{ readonly rate: number; readonly arrives: number }> {
  const { meter, site, seconds } = turn
  const full = await meter.flood(site, { flows, seconds })
  let best = { rate: full.sent / full.seconds, arrives: full.arrived / full.seconds }
  for (const part of [1.1, 1, 0.9, 0.8]) {
    const rate = (full.arrived / full.seconds) * part
    const { arrived, seconds: took } = await meter.flood(site, { flows, seconds: trialSeconds(turn), rate })
    if (arrived / took > best.arrives) best = { rate, arrives: arrived / took }
  }
  return best
}

export const overload: Case = {
  title: 'three times the best load offered',
  traffic: 'packets',
  only: ['director', 'kernel'],
  figures: {
    offered: { title: 'offered, of what arrives of the best load', unit: 'x', better: 'more' },
    kept: { title: 'delivered, of what the best load delivers in turn', unit: 'x', better: 'more' },
    command: { title: 'slowest control command meanwhile', unit: 'ms', better: 'less' },
  },
  run: async (turn) => {
    const { meter, site } = turn
    const best = await bestLoad(turn)
    const seconds = Math.max(0.5, turn.seconds / slices)
    const over = { sent: 0, arrived: 0, seconds: 0 }
    let [delivered, command] = [0, 0]
    // In turn, for a machine that is slower now and then.
    for (let slice = 0; slice < slices; slice++) {
      const alone = await meter.flood(site, { flows, seconds, rate: best.rate })
      delivered += alone.arrived / alone.seconds / slices
      const end = new AbortController()
      const commands = turn.contender.pid === undefined ? Number.NaN : slowest(turn, end.signal)
      const each = { flows, seconds, rate: (best.arrives * 3) / senders }
      const { sent, arrived, seconds: took } = await meter.flood(site, each, senders)
      end.abort()
      command = Math.max(command, await commands)
      over.sent += sent
      over.arrived += arrived
      over.seconds += took
    }
    const offered = over.sent / over.seconds / best.arrives
    return { offered, kept: over.arrived / over.seconds / delivered, command }
  },
}

function trialSeconds({ seconds }: Turn): number {
  return Math.max(0.3, seconds / 4)
}

/** Milliseconds that the slowest of some commands took: a weight set again and again. */
async function slowest({ site, surroundings }: Turn, end: AbortSignal): Promise<number> {
  await using client = await ControlClient.connect({ path: controlPath(surroundings) })
  let [longest, weight] = [0, 1]
  while (!end.aborted) {
    const begun = performance.now()
    const service = { protocol: 'udp', address: virtualAddress, port: ports.datagrams } as const
    const server = { address: site.serverAddress, port: ports.datagrams }
    weight = 3 - weight
    await client.apply([{ type: 'set-weight', service, server, weight }])
    longest = Math.max(longest, performance.now() - begun)
    await sleep(commandEveryMs)
  }
  return longest
}
