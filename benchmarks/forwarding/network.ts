// A client, a server, and between them one host for each contender, cable by cable: nothing else
// forwards. Servers that are reached by direct routing answer by a cable of their own.

import { Holder } from '../../test/lab/holder.ts'
import { cable, Namespace } from '../../test/lab/namespace.ts'

/** The address that clients ask, which the server carries on its loopback. */
export const virtualAddress = '198.51.100.80'

/** Ports of the virtual address and of the server. */
export const ports = { datagrams: 4000, requests: 80, bulk: 90 } as const

/** Source addresses of the client. */
export const sources = Array.from({ length: 16 }, (_, index) => `10.90.0.${index + 1}`)

/** Source addresses of quiet connections, and of those that others open beside them. */
export const sourcesOf = { quiet: sources.slice(0, 8), others: sources.slice(8) } as const

/** Addresses nobody has, which forged segments come from. */
export const forgedSources = '11.0.0.0/8'

/** A contender's host: `front` is its interface towards the client, `rear` that towards the server. */
export interface Site {
  readonly host: Namespace
  /** The client's interface towards it. */
  readonly clientInterface: string
  /** The server's interface towards it. */
  readonly serverInterface: string
  /** Address of `front`, for the client's route. */
  readonly frontAddress: string
  /** Address of the server on this host's `rear`. */
  readonly serverAddress: string
  readonly frontMac: string
  readonly rearMac: string
  /** Hardware address of the server on this host's `rear`. */
  readonly serverMac: string
}

/** The namespaces of a run. They vanish with `close()` or with this process. */
export class Network {
  readonly client: Namespace
  readonly server: Namespace
  readonly #holder: Holder
  readonly #prefix: string
  #sites = 0

  private constructor(holder: Holder, prefix: string, client: Namespace, server: Namespace) {
    this.#holder = holder
    this.#prefix = prefix
    this.client = client
    this.server = server
  }

  static async create(): Promise<Network> {
    const holder = await Holder.start()
    try {
      const prefix = `l4-bench-${process.pid}`
      const client = await Namespace.create(holder, `${prefix}-client`)
      const server = await Namespace.create(holder, `${prefix}-server`)
      await prepare(client, server)
      return new Network(holder, prefix, client, server)
    } catch (error) {
      await holder.close()
      throw error
    }
  }

  /** Adds a host between client and server, with addresses and nothing that forwards yet. */
  async addSite(name: string): Promise<Site> {
    const index = ++this.#sites
    const host = await Namespace.create(this.#holder, `${this.#prefix}-${name}`)
    const [clientInterface, serverInterface] = [`client${index}`, `server${index}`]
    await cable([this.client, clientInterface], [host, 'front'])
    await cable([this.server, serverInterface], [host, 'rear'])
    const [front, rear] = [`10.91.${index}`, `10.92.${index}`]
    await this.client.ip(`addr add ${front}.1/24 dev ${clientInterface}`)
    await host.ip(
      `addr add ${front}.2/24 dev front`,
      `addr add ${rear}.1/24 dev rear`,
      `route add 10.90.0.0/24 via ${front}.1`,
    )
    await host.sysctl({
      ...congestion,
      'net.ipv4.conf.all.send_redirects': 0,
      'net.ipv4.conf.front.send_redirects': 0,
      'net.ipv4.ip_local_port_range': '10000 65000',
      // A proxy's own connections end here, thousands a second.
      'net.ipv4.tcp_tw_reuse': 1,
    })
    await this.server.ip(
      `addr add ${rear}.2/24 dev ${serverInterface}`,
      // What was asked under this address is answered by the host that translated it.
      `route add default via ${rear}.1 table ${100 + index}`,
      `rule add from ${rear}.2 lookup ${100 + index}`,
    )
    return {
      host,
      clientInterface,
      serverInterface,
      frontAddress: `${front}.2`,
      serverAddress: `${rear}.2`,
      frontMac: await macOf(host, 'front'),
      rearMac: await macOf(host, 'rear'),
      serverMac: await macOf(this.server, serverInterface),
    }
  }

  /** From now on the client reaches the virtual address through this host. */
  async use({ frontAddress, clientInterface }: Site): Promise<void> {
    await this.client.ip(`route replace ${virtualAddress}/32 via ${frontAddress} dev ${clientInterface}`)
  }

  /** Lets the namespaces go; programs started in them must have ended. */
  async close(): Promise<void> {
    await this.#holder.close()
  }
}

/**
 * The one every namespace may choose. Others, like BBR, send at a pace of their own clock, which then
 * is what a stream's rate tells of.
 */
const congestion = { 'net.ipv4.tcp_congestion_control': 'reno' }

async function prepare(client: Namespace, server: Namespace): Promise<void> {
  await cable([client, 'back'], [server, 'back'])
  const tcp = {
    ...congestion,
    'net.ipv4.tcp_no_metrics_save': 1,
    'net.ipv4.ip_local_port_range': '10000 65000',
  }
  await client.sysctl({ ...tcp, 'net.ipv4.tcp_tw_reuse': 1 })
  await server.sysctl({
    ...tcp,
    'net.ipv4.conf.all.arp_ignore': 1,
    'net.ipv4.conf.all.arp_announce': 2,
    'net.core.somaxconn': 4096,
    'net.ipv4.tcp_max_syn_backlog': 8192,
  })
  await client.ip('addr add 10.93.0.1/24 dev back', ...sources.map((one) => `addr add ${one}/32 dev lo`))
  await server.ip(
    'addr add 10.93.0.2/24 dev back',
    `addr add ${virtualAddress}/32 dev lo`,
    'route add 10.90.0.0/24 via 10.93.0.1',
  )
}

async function macOf(namespace: Namespace, name: string): Promise<string> {
  const [link] = await namespace.query('link', 'show', 'dev', name)
  return (link as { readonly address: string }).address
}
