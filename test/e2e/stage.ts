import type { ExecutionContext } from 'ava'

import { clientAddresses, virtualAddress, type Family } from '../lab/addresses.ts'
import { Cluster } from '../lab/cluster.ts'
import { directorOptions, type DirectingOptions } from '../lab/director-options.ts'
import type { Exit, LabProcess, Message } from '../lab/lab-process.ts'
import { socketAddress, startPeer, startServer, type PeerOptions, type PeerProgram } from '../lab/peers.ts'
import { Lab, type LabOptions } from '../lab/topology.ts'

/** Something a director told. */
export interface Happening {
  readonly director: number
  readonly name: string
  readonly details: Readonly<Record<string, unknown>>
}

const patienceMs = 30_000

/** A lab with its directors, made for one test and taken down after it. */
export class Stage {
  readonly t: ExecutionContext
  readonly lab: Lab
  readonly cluster: Cluster
  /** Events of all directors, oldest first. */
  readonly happenings: Happening[] = []
  readonly #waiting = new Set<(happening: Happening) => void>()

  private constructor(t: ExecutionContext, lab: Lab, options: object) {
    this.t = t
    this.lab = lab
    this.cluster = new Cluster(lab, options, (director, message) => this.#observe(director, message))
  }

  /** Makes the lab; its directors are not started yet. */
  static async build(t: ExecutionContext, labOptions: LabOptions, options: object): Promise<Stage> {
    const lab = await Lab.create(labOptions)
    t.teardown(() => lab.close())
    return new Stage(t, lab, options)
  }

  /** Makes the lab, changes it by `prepare`, and starts its directors. */
  static async open(
    t: ExecutionContext,
    labOptions: LabOptions = {},
    directing: DirectingOptions = {},
    prepare: (lab: Lab) => Promise<void> = async () => undefined,
  ): Promise<Stage> {
    const servers = labOptions.servers ?? 3
    const stage = await Stage.build(t, labOptions, directorOptions({ servers, ...directing }))
    await prepare(stage.lab)
    await stage.cluster.startAll()
    t.teardown(async () => {
      await stage.cluster.close()
      if (stage.cluster.accidents.length > 0) throw new Error(stage.cluster.accidents.join('\n'))
    })
    return stage
  }

  /** Starts a server program on every real server, on the virtual address. */
  async serve(
    program: PeerProgram,
    families: readonly Family[] = ['ipv4'],
    port = 80,
  ): Promise<LabProcess[]> {
    const listen = families.map((family) => socketAddress(virtualAddress[family], port))
    const starting = this.lab.servers.map((host, index) =>
      startServer(host, program, { listen, reportMs: 100 }, `server${index + 1}`),
    )
    const servers = await Promise.all(starting)
    for (const server of servers) this.#endAfterTest(server)
    return servers
  }

  /** Starts the SCTP server on every real server. */
  async serveSctp(family: Family, port = 80): Promise<LabProcess[]> {
    const starting = this.lab.servers.map((host, index) =>
      startServer(host, 'sctp-server', { address: virtualAddress[family], port }, `server${index + 1}`),
    )
    const servers = await Promise.all(starting)
    for (const server of servers) this.#endAfterTest(server)
    return servers
  }

  /** Starts a client program towards the virtual service. */
  client(program: PeerProgram, options: PeerOptions = {}, family: Family = 'ipv4', port = 80): LabProcess {
    const connect = socketAddress(virtualAddress[family], port)
    const source = clientAddresses(8, family)
    const client = startPeer(this.lab.clients, program, { connect, source, reportMs: 100, ...options })
    this.#endAfterTest(client)
    return client
  }

  /** Resolves with the first event of that name, from now on, that fits. */
  happened(name: string, fits: (happening: Happening) => boolean = () => true): Promise<Happening> {
    return new Promise((resolve, reject) => {
      const late = (): void => reject(new Error(`no director told ${name} within ${patienceMs} ms`))
      const timer = setTimeout(late, patienceMs)
      const waiting = (happening: Happening): void => {
        if (happening.name !== name || !fits(happening)) return
        clearTimeout(timer)
        this.#waiting.delete(waiting)
        resolve(happening)
      }
      this.#waiting.add(waiting)
    })
  }

  #observe(director: number, message: Message): void {
    if (message.event !== 'happened') return
    const { name, details } = message as unknown as Omit<Happening, 'director'>
    const happening = { director, name, details }
    this.happenings.push(happening)
    for (const waiting of this.#waiting) waiting(happening)
  }

  #endAfterTest(peer: LabProcess): void {
    this.t.teardown(() => peer.kill())
  }
}

/** Waits until the clients have exchanged `more` further records. */
export async function exchanged(client: LabProcess, more: number): Promise<void> {
  const before = Number((await client.waitFor('its state', ({ event }) => event === 'state'))['records'])
  await client.waitFor(`${more} records`, ({ records }) => Number(records) >= before + more)
}

/** How a peer ended and its last counts. */
export interface Ended {
  readonly exit: Exit
  readonly summary: Message
}

/** Asks a peer to finish in good order and resolves with its summary. */
export async function finish(peer: LabProcess): Promise<Ended> {
  peer.endInput()
  return ended(peer)
}

/** Waits for a peer's own end and resolves with its summary. */
export async function ended(peer: LabProcess): Promise<Ended> {
  const exit = await peer.exited
  const summary = peer.latest('summary')
  if (summary === undefined) throw new Error(`${peer.name} ended without a summary: ${peer.complaints}`)
  return { exit, summary }
}
