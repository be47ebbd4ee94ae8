// What is measured, and the figures each case has.

import { setTimeout as sleep } from 'node:timers/promises'

import { ackFlood, synFlood } from './flood.ts'
import { lossFree, overload } from './limits.ts'
import { busySeconds, figureIn, processSeconds, type Meter } from './measure.ts'
import { ports, type Site } from './network.ts'
import type { Contender, RivalName, Surroundings, Traffic } from './rivals.ts'

/** Something that is compared. */
export interface Figure {
  readonly title: string
  readonly unit: string
  readonly better: 'more' | 'less'
}

/** One contender's turn. */
export interface Turn {
  readonly meter: Meter
  readonly site: Site
  readonly contender: Contender
  readonly surroundings: Surroundings
  readonly seconds: number
  /** Connections that are kept beside a flood. */
  readonly quiet: number
}

/** One kind of traffic. */
export interface Case {
  readonly title: string
  readonly traffic: Traffic
  /** The only contenders it makes sense for; all when absent. */
  readonly only?: readonly RivalName[]
  readonly figures: Readonly<Record<string, Figure>>
  /** A contender that remembers connections starts anew before each turn. */
  readonly startsAnew?: boolean
  /** Done once for each contender before the first round. */
  readonly warmUp?: (turn: Turn) => Promise<unknown>
  readonly run: (turn: Turn) => Promise<Readonly<Record<string, number>>>
}

const packetRate: Figure = { title: 'datagrams', unit: '1/s', better: 'more' }
const packetCost: Figure = { title: 'processor time a datagram', unit: 'µs', better: 'less' }

function smallPackets(title: string, flows: number): Case {
  return {
    title: `UDP, frames of 60 octets, ${title}`,
    traffic: 'packets',
    figures: { rate: packetRate, cost: packetCost },
    warmUp: ({ meter, site }) => meter.flood(site, { flows, count: Math.ceil(flows * 1.05), seconds: 20 }),
    run: async ({ meter, site, seconds }) => {
      const { arrived, seconds: took, busySeconds: busy } = await meter.flood(site, { flows, seconds })
      return { rate: arrived / took, cost: (busy / arrived) * 1e6 }
    },
  }
}

function bulk(title: string, streams: number): Case {
  return {
    title: `bulk TCP, ${title}`,
    traffic: 'connections',
    figures: {
      rate: { title: 'octets that arrived', unit: 'Gbit/s', better: 'more' },
      cost: { title: 'processor time', unit: 's/GB', better: 'less' },
    },
    run: async ({ meter, seconds }) => {
      const busy = busySeconds()
      const summary = await meter.client('bulk-client', ports.bulk, { seconds, streams })
      const used = busySeconds() - busy
      return {
        rate: figureIn(summary, 'bitsPerSecond') / 1e9,
        cost: used / (figureIn(summary, 'bytes') / 1e9),
      }
    },
  }
}

const newConnections: Case = {
  title: 'new TCP connections: open, ask, close',
  traffic: 'connections',
  figures: {
    rate: { title: 'connections', unit: '1/s', better: 'more' },
    cost: { title: 'processor time a connection', unit: 'µs', better: 'less' },
  },
  run: async ({ meter, seconds }) => {
    const busy = busySeconds()
    const options = { maxSeconds: seconds, concurrency: 64 }
    const rate = figureIn(await meter.client('tcp-short', ports.requests, options), 'perSecond')
    return { rate, cost: ((busySeconds() - busy) / (rate * seconds)) * 1e6 }
  },
}

interface Requests {
  readonly connections: number
  readonly intervalMs: number
  /** How long a turn takes: so many times what was asked for, or this. */
  readonly turns?: number
  readonly seconds?: number
  readonly only?: readonly RivalName[]
  readonly load?: (turn: Turn) => Promise<unknown>
}

/** Requests on kept connections, beside whatever `load` sends. */
function requests(
  title: string,
  { connections, intervalMs, turns = 1, load, only, ...fixed }: Requests,
): Case {
  return {
    title: `requests on kept connections, ${title}`,
    traffic: 'connections',
    ...(only === undefined ? {} : { only }),
    figures: {
      p50: { title: 'answered, half of them', unit: 'ms', better: 'less' },
      p99: { title: 'answered, 99 of 100', unit: 'ms', better: 'less' },
    },
    run: async (turn) => {
      const maxSeconds = fixed.seconds ?? turn.seconds * turns
      const options = { connections, intervalMs, payloadBytes: 64, maxSeconds }
      const asked = turn.meter.client('tcp-long', ports.requests, options)
      const [summary] = await Promise.all([asked, load?.(turn)])
      return { p50: figureIn(summary, 'p50Ms'), p99: figureIn(summary, 'p99Ms') }
    },
  }
}

const idle: Case = {
  title: 'nothing to do',
  traffic: 'connections',
  only: ['director'],
  figures: { share: { title: 'of a processor', unit: '%', better: 'less' } },
  run: async ({ contender: { pid = 0 }, seconds }) => {
    const before = processSeconds(pid)
    await sleep(seconds * 1000)
    return { share: ((processSeconds(pid) - before) / seconds) * 100 }
  },
}

/** All cases, in the order they run. */
export const cases: Readonly<Record<string, Case>> = {
  'udp-1': smallPackets('1 flow', 1),
  'udp-1k': smallPackets('1,000 flows', 1000),
  'udp-10k': smallPackets('10,000 flows', 10_000),
  'udp-1m': smallPackets('1,000,000 flows', 1_000_000),
  'bulk-1': bulk('1 stream', 1),
  'bulk-4': bulk('4 streams', 4),
  connections: newConnections,
  'requests-lone': requests('one a second', {
    connections: 1,
    intervalMs: 1000,
    seconds: 5,
    only: ['director', 'kernel', 'bare', 'dnat'],
  }),
  // Long enough for the 99th of a hundred to be more than a few requests.
  'requests-idle': requests('one at a time, 100 a second', { connections: 1, intervalMs: 10, turns: 2 }),
  'requests-10k': requests('about 10,000 packets a second', { connections: 50, intervalMs: 10 }),
  'requests-loaded': requests('beside a bulk stream', {
    connections: 1,
    intervalMs: 5,
    load: ({ meter, seconds }) => meter.client('bulk-client', ports.bulk, { seconds }),
  }),
  'loss-free': lossFree,
  overload,
  idle,
  'flood-syn': synFlood,
  'flood-ack': ackFlood,
}
