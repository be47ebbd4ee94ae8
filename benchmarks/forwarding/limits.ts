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
/** One sender may not be able to offer three times the loss-free rate. */
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

/** What a contender carries: the loss-free rate, and the offered rate of which most arrived. */
interface Limits {
  readonly free: number
  /** Absent: as fast as one sender can. */
  readonly best?: number
}

/** Tries rates. */
async function explore({ meter, site, seconds }: Turn): Promise<Limits> {
  const full = await meter.flood(site, { flows, seconds })
  let peak = full.arrived / full.seconds
  let best: number | undefined
  const trial = Math.max(0.3, seconds / 4)
  const free = await bisect(peak * 1.2, async (rate) => {
    const { sent, arrived, seconds: took } = await meter.flood(site, { flows, seconds: trial, rate })
    if (arrived / took > peak) [peak, best] = [arrived / took, rate]
    // A sender that could not keep the rate has not tried it.
    return arrived >= sent * (1 - allowedLoss) && sent >= rate * took * 0.97
  })
  return { free, ...(best === undefined ? {} : { best }) }
}

export const lossFree: Case = {
  title: 'UDP, frames of 60 octets, 10,000 flows, without loss',
  traffic: 'packets',
  figures: { rate: { title: 'datagrams, fewer than 1 in 1000 lost', unit: '1/s', better: 'more' } },
  run: async (turn) => ({ rate: (await explore(turn)).free }),
}

export const overload: Case = {
  title: 'three times the loss-free rate offered',
  traffic: 'packets',
  only: ['director', 'kernel'],
  figures: {
    offered: { title: 'offered, of the loss-free rate', unit: 'x', better: 'more' },
    kept: { title: 'delivered, of what the best load delivers in turn', unit: 'x', better: 'more' },
    command: { title: 'slowest control command meanwhile', unit: 'ms', better: 'less' },
  },
  run: async (turn) => {
    const { free, best } = await explore(turn)
    const { meter, site } = turn
    const seconds = Math.max(0.5, turn.seconds / slices)
    const over = { sent: 0, arrived: 0, seconds: 0 }
    let peak = 0
    let command = 0
    // In turn, for a machine that is slower now and then.
    for (let slice = 0; slice < slices; slice++) {
      const alone = await meter.flood(site, { flows, seconds, ...(best === undefined ? {} : { rate: best }) })
      peak += alone.arrived / alone.seconds / slices
      const end = new AbortController()
      const commands = turn.contender.pid === undefined ? Number.NaN : slowest(turn, end.signal)
      const {
        sent,
        arrived,
        seconds: took,
      } = await meter.flood(site, { flows, seconds, rate: (free * 3) / senders }, senders)
      end.abort()
      command = Math.max(command, await commands)
      over.sent += sent
      over.arrived += arrived
      over.seconds += took
    }
    return {
      offered: over.sent / over.seconds / free,
      kept: over.arrived / over.seconds / peak,
      command,
    }
  },
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
