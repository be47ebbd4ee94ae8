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

/** Tries rates; answers with the loss-free one, and the most that ever arrived a second. */
async function explore({ meter, site, seconds }: Turn): Promise<{ free: number; peak: number }> {
  const full = await meter.flood(site, { flows, seconds })
  let peak = full.arrived / full.seconds
  const trial = Math.max(0.3, seconds / 4)
  const free = await bisect(peak * 1.2, async (rate) => {
    const { sent, arrived, seconds: took } = await meter.flood(site, { flows, seconds: trial, rate })
    peak = Math.max(peak, arrived / took)
    // A sender that could not keep the rate has not tried it.
    return arrived >= sent * (1 - allowedLoss) && sent >= rate * took * 0.97
  })
  return { free, peak }
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
    kept: { title: 'delivered, of the peak', unit: 'x', better: 'more' },
    command: { title: 'slowest control command meanwhile', unit: 'ms', better: 'less' },
  },
  run: async (turn) => {
    const { free, peak } = await explore(turn)
    const over = new AbortController()
    const commands = turn.contender.pid === undefined ? undefined : slowest(turn, over.signal)
    const { meter, site, seconds } = turn
    const before = await meter.arrived()
    // One sender may not be able to offer that much.
    const one = { flows, seconds, rate: free * 1.5 }
    const floods = await Promise.all([meter.startFlood(site, one)(), meter.startFlood(site, one)()])
    over.abort()
    const arrived = (await meter.arrived()) - before
    const sent = floods.reduce((sum, flood) => sum + flood.sent, 0)
    const took = Math.max(...floods.map((flood) => flood.seconds))
    const command = (await commands) ?? Number.NaN
    return { offered: sent / took / free, kept: arrived / took / peak, command }
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
