import { clientAddress, clientAddresses, serverAddress, virtualAddress } from '../test/lab/addresses.ts'
import { Cluster } from '../test/lab/cluster.ts'
import type { LabProcess, Message } from '../test/lab/lab-process.ts'
import { socketAddress, startPeer, startServer } from '../test/lab/peers.ts'
import { hostInterface, Lab } from '../test/lab/topology.ts'
import { AdoptionNotes } from './adoption-notes.ts'
import { DirectorTally } from './director-tally.ts'
import type { Journal } from './journal.ts'
import type { DemoOptions } from './options.ts'
import { emptyLong, emptyShort, observeLong, observeShort } from './traffic-tally.ts'

export const size = {
  directors: 2,
  servers: 3,
  connections: 300,
  associations: 6,
  shortPerSecond: 60,
} as const

const port = 80
const reportMs = 200

/** The name a real server answers with. */
export function serverName(index: number): string {
  return `server${index}`
}

/** The demo's network with its directors, servers and clients, and what is known of them. */
export class World {
  readonly lab: Lab
  readonly cluster: Cluster
  readonly directors: readonly DirectorTally[]
  readonly long = emptyLong()
  readonly short = emptyShort()
  readonly associations = emptyLong()
  /** Real servers that are paused, by number. */
  readonly paused = new Set<number>()
  /** Requests whose content was not what the client sent, as the servers saw it. */
  serverErrors = 0
  readonly #servers: LabProcess[] = []
  readonly #clients: LabProcess[] = []

  private constructor(lab: Lab, options: DemoOptions, journal: Journal) {
    this.lab = lab
    this.directors = Array.from(
      { length: size.directors },
      (_, index) => new DirectorTally(index + 1, size.servers),
    )
    const notes = new AdoptionNotes(journal)
    this.cluster = new Cluster(lab, directorOptions(options), (index, message) => {
      this.director(index).observe(message)
      notes.observe(index, message)
    })
  }

  /** Makes the network, starts servers and directors. */
  static async create(options: DemoOptions, journal: Journal): Promise<World> {
    const lab = await Lab.create({ directors: size.directors, servers: size.servers })
    journal.add(`network ready${lab.asPlainUser ? ', in a user namespace: no privileges needed' : ''}`)
    const world = new World(lab, options, journal)
    for (let index = 1; index <= size.servers; index++) await world.#startServers(index)
    await world.cluster.startAll()
    journal.add(`${size.directors} directors forward, each a Node process of its own`)
    return world
  }

  /** What is known of director `index`. */
  director(index: number): DirectorTally {
    const tally = this.directors[index - 1]
    if (tally === undefined) throw new RangeError(`there is no director ${index}`)
    return tally
  }

  /** Starts the clients; resolves when every long-lived connection is open. */
  async startClients(): Promise<void> {
    const connect = socketAddress(virtualAddress.ipv4, port)
    const source = clientAddresses(8)
    const common = { connect, reportMs, intervalMs: 250 }
    const long = this.#client('tcp-long', { ...common, source, connections: size.connections })
    const sctp = this.#client('sctp-client', {
      ...common,
      source: clientAddress(1),
      associations: size.associations,
    })
    const short = this.#client('tcp-short', { connect, source, reportMs, rate: size.shortPerSecond })
    long.onMessage((message) => observeLong(this.long, message))
    sctp.onMessage((message) => observeLong(this.associations, message))
    short.onMessage((message) => observeShort(this.short, message))
    await Promise.all([long.message('connected'), sctp.message('connected')])
  }

  /** Asks the clients to close, in good order, what they have open on a server. */
  closeOn(index: number): void {
    for (const client of this.#clients.slice(0, 2)) client.write(`close-server ${serverName(index)}`)
  }

  /** Ends clients and servers in good order and takes their last counts in. */
  async finish(): Promise<void> {
    for (const program of [this.#clients, this.#servers]) {
      for (const peer of program) peer.endInput()
      await Promise.all(program.map((peer) => peer.exited))
    }
  }

  /** Takes everything down. */
  async close(): Promise<void> {
    await this.cluster.close()
    await Promise.all([...this.#clients, ...this.#servers].map((peer) => peer.kill()))
    await this.lab.close()
  }

  async #startServers(index: number): Promise<void> {
    const name = serverName(index)
    const host = this.lab.server(index)
    const listen = socketAddress(virtualAddress.ipv4, port)
    const servers = await Promise.all([
      startServer(host, 'tcp-server', { listen }, name),
      startServer(host, 'sctp-server', { address: virtualAddress.ipv4, port }, name),
    ])
    for (const server of servers) server.onMessage((message) => this.#countErrors(message))
    this.#servers.push(...servers)
  }

  #client(...[program, options]: [Parameters<typeof startPeer>[1], object]): LabProcess {
    const client = startPeer(this.lab.clients, program, { ...options })
    this.#clients.push(client)
    return client
  }

  #countErrors(message: Message): void {
    if (message.event === 'summary') this.serverErrors += Number(message['errors'] ?? 0)
  }
}

function directorOptions({ sloppy, fallback }: DemoOptions): object {
  const servers = Array.from({ length: size.servers }, (_, index) => ({ address: serverAddress(index + 1) }))
  const flags = fallback ? ['sh-port', 'sh-fallback'] : ['sh-port']
  const service = { address: virtualAddress.ipv4, port, scheduler: 'sh', flags, servers }
  return {
    interfaces: [hostInterface],
    sloppy: { tcp: sloppy, sctp: sloppy },
    // A connection that the router moves to another director leaves its entry behind; it must not
    // hold up the drain for the 15 minutes that an idle connection is granted otherwise.
    settings: { tcpTimeoutSeconds: 4 },
    services: [
      { protocol: 'tcp', ...service },
      { protocol: 'sctp', ...service },
    ],
  }
}
