// What a turn measures with: traffic through the network, arrivals at the server, busy processors.

import { readdirSync, readFileSync } from 'node:fs'

import { startPeer, startServer, type PeerOptions, type PeerProgram } from '../../test/lab/peers.ts'
import type { LabProcess, Message } from '../../test/lab/lab-process.ts'
import {
  forgedSources,
  ports,
  sources,
  sourcesOf,
  virtualAddress,
  type Network,
  type Site,
} from './network.ts'

/** How a flood of small datagrams looks. */
export interface Flood {
  readonly flows: number
  /** Longest time, in seconds. */
  readonly seconds: number
  /** Datagrams a second; as many as possible when absent. */
  readonly rate?: number
  /** Datagrams to end after. */
  readonly count?: number
}

/** What became of a flood. */
export interface Flooded {
  readonly sent: number
  readonly arrived: number
  readonly seconds: number
  /** Processor seconds that the whole machine was busy meanwhile. */
  readonly busySeconds: number
}

/**
 * Processor seconds this machine has been busy: user, system, interrupts, everything but idle, since
 * it started. All of it counts, the programs that send and receive included: they are the same for
 * every contender.
 */
export function busySeconds(stat: string = readFileSync('/proc/stat', 'utf8')): number {
  const [user, nice, system, , , interrupt, softInterrupt] = stat.split(/\s+/u).slice(1, 8).map(Number)
  const ticks = [user, nice, system, interrupt, softInterrupt].reduce<number>((sum, one = 0) => sum + one, 0)
  return ticks / 100
}

/** Processor seconds that the threads of a process have used, to the nanosecond: a clock tick is 10 ms. */
export function processSeconds(pid: number): number {
  const nanoseconds = readdirSync(`/proc/${pid}/task`).map((thread) => {
    return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
  })
  return nanoseconds.reduce((sum, one) => sum + one, 0) / 1e9
}

/** A number that a program told; that it told none is no figure of 0, but an error. */
export function figureIn(summary: Message, name: string): number {
  const value = summary[name]
  if (typeof value === 'number') return value
  throw new Error(`the client's summary has no number ${name}: ${JSON.stringify(summary)}`)
}

/** The client and the server of a run, and what the server counts. */
export class Meter {
  readonly network: Network
  readonly #nft: string
  readonly #servers: readonly LabProcess[]
  #failures: string[] = []

  private constructor(network: Network, nft: string, servers: readonly LabProcess[]) {
    this.network = network
    this.#nft = nft
    this.#servers = servers
  }

  /** Starts the server's programs; datagrams are counted and dropped where they enter the server. */
  static async start(network: Network, nft: string, sites: readonly Site[]): Promise<Meter> {
    const devices = sites.map((site) => `"${site.serverInterface}"`).join(', ')
    const match = `udp dport ${ports.datagrams} counter name datagrams drop`
    await network.server.run(
      nft,
      `table netdev arrivals {
         counter datagrams { }
         chain ingress { type filter hook ingress devices = { ${devices} } priority 0; ${match}; }
       }`,
    )
    // Port 80 of every address of the server: the virtual one and those proxies connect to.
    const listen = (port: number): object => ({ listen: `0.0.0.0:${port}` })
    const servers = [
      await startServer(network.server, 'tcp-server', listen(ports.requests) as PeerOptions, 'server1'),
      await startServer(network.server, 'bulk-server', listen(ports.bulk) as PeerOptions, 'server1'),
    ]
    return new Meter(network, nft, servers)
  }

  /** Ends the server's programs. */
  async close(): Promise<void> {
    for (const server of this.#servers) await server.kill('SIGTERM')
  }

  /** Datagrams that have entered the server so far. */
  async arrived(): Promise<number> {
    const listing = await this.network.server.run(this.#nft, 'list counter netdev arrivals datagrams')
    const [, packets] = /packets (\d+)/u.exec(listing) ?? []
    if (packets === undefined) throw new Error(`nft does not tell what it counted: ${listing}`)
    return Number(packets)
  }

  /** Sends small datagrams to a site, from so many senders, and counts those that come out behind it. */
  async flood(site: Site, flood: Flood, senders = 1): Promise<Flooded> {
    const before = await this.arrived()
    const busy = busySeconds()
    const sending = Array.from({ length: senders }, () => this.#send(site, flood))
    const floods = await Promise.all(sending)
    const used = busySeconds() - busy
    const arrived = (await this.#settled()) - before
    const sent = floods.reduce((sum, one) => sum + one.sent, 0)
    return { sent, arrived, seconds: Math.max(...floods.map((one) => one.seconds)), busySeconds: used }
  }

  async #send(site: Site, flood: Flood): Promise<{ readonly sent: number; readonly seconds: number }> {
    const options = {
      interface: site.clientInterface,
      toMac: site.frontMac,
      connect: `${virtualAddress}:${ports.datagrams}`,
      source: sources,
      ...flood,
    }
    const summary = await summaryOf(startPeer(this.network.client, 'udp-flood', options))
    return { sent: figureIn(summary, 'sent'), seconds: figureIn(summary, 'seconds') }
  }

  /** Sends TCP segments from forged sources; the summary says how many. */
  forge(site: Site, options: PeerOptions): Promise<Message> {
    const connect = `${virtualAddress}:${ports.requests}`
    const way = { interface: site.clientInterface, toMac: site.frontMac, connect, from: forgedSources }
    return summaryOf(startPeer(this.network.client, 'tcp-flood', { ...way, ...options }))
  }

  /** Starts a client program. */
  start(program: PeerProgram, port: number, who: keyof typeof sourcesOf, options: PeerOptions): LabProcess {
    const connect = `${virtualAddress}:${port}`
    return startPeer(this.network.client, program, { connect, source: sourcesOf[who], ...options })
  }

  /** Runs a client program to its end and answers with its summary. */
  client(program: PeerProgram, port: number, options: PeerOptions): Promise<Message> {
    return this.#counted(this.start(program, port, 'quiet', options))
  }

  /** What failed of the connections of clients since this was last asked, as their programs told it. */
  takeFailures(): readonly string[] {
    const failures = this.#failures
    this.#failures = []
    return failures
  }

  /** A connection that failed ends no run: it is told, and what went well is measured. */
  async #counted(client: LabProcess): Promise<Message> {
    const { status } = await client.exited
    const summary = client.latest('summary')
    if (status !== 1 || summary === undefined) return summaryOf(client)
    const { ok, refused, failed, connections, streams, broken, causes } = summary
    this.#failures.push(
      `${client.name}: ${JSON.stringify({ ok, refused, failed, connections, streams, broken, causes })}`,
    )
    return summary
  }

  async #settled(): Promise<number> {
    let [last, now] = [Number.NaN, await this.arrived()]
    while (now !== last) [last, now] = [now, await this.arrived()]
    return now
  }
}

async function summaryOf(child: LabProcess): Promise<Message> {
  const { status } = await child.exited
  const summary = child.latest('summary')
  if (summary === undefined || status !== 0) {
    const said = JSON.stringify(summary ?? child.latest('error'))
    throw new Error(`${child.name} ended with ${status}: ${said} ${child.complaints}`)
  }
  return summary
}
