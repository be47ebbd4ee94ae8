import {
  clientAddresses,
  directorAddress,
  routerInside,
  routerOutside,
  serverAddress,
  virtualAddresses,
} from './addresses.ts'
import { Holder } from './holder.ts'
import { cable, Namespace } from './namespace.ts'
import { insideInterface, Router } from './router.ts'

/** How large a lab is. */
export interface LabOptions {
  /** Directors; 2 when absent. */
  readonly directors?: number
  /** Real servers; 3 when absent. */
  readonly servers?: number
  /** Source addresses of the clients, in each family; 8 when absent. */
  readonly clientAddresses?: number
}

/** The interface of every client, director and server. */
export const hostInterface = 'eth0'

/** The router's interface towards the clients. */
export const outsideInterface = 'outside'

let labs = 0

/**
 * A small network in namespaces:
 *
 *     clients ── router ══╦═ director 1, director 2, ...   (ECMP for the virtual addresses)
 *                         ╚═ server 1, server 2, ...       (virtual addresses on lo)
 *
 * Directors and servers share the router's inside network; servers answer clients straight
 * through the router. All of it vanishes with `close()` or with this process.
 */
export class Lab {
  readonly clients: Namespace
  readonly router: Router
  /** Index 0 is director 1. */
  readonly directors: readonly Namespace[]
  /** Index 0 is real server 1. */
  readonly servers: readonly Namespace[]
  readonly #holder: Holder

  private constructor(holder: Holder, hosts: Pick<Lab, 'clients' | 'router' | 'directors' | 'servers'>) {
    this.#holder = holder
    this.clients = hosts.clients
    this.router = hosts.router
    this.directors = hosts.directors
    this.servers = hosts.servers
  }

  static async create(options: LabOptions = {}): Promise<Lab> {
    const holder = await Holder.start()
    const prefix = `l4-${process.pid}-${++labs}`
    try {
      return await build(holder, prefix, options)
    } catch (error) {
      await holder.close()
      throw error
    }
  }

  /** Whether the lab runs without real privileges, in a user namespace. */
  get asPlainUser(): boolean {
    return this.#holder.asPlainUser
  }

  /** Director `index`, from 1. */
  director(index: number): Namespace {
    return numbered(this.directors, index, 'director')
  }

  /** Real server `index`, from 1. */
  server(index: number): Namespace {
    return numbered(this.servers, index, 'server')
  }

  /** Lets the namespaces go; programs started in them must have ended. */
  async close(): Promise<void> {
    await this.#holder.close()
  }

  /** @internal */
  static assemble(holder: Holder, hosts: Pick<Lab, 'clients' | 'router' | 'directors' | 'servers'>): Lab {
    return new Lab(holder, hosts)
  }
}

async function build(holder: Holder, prefix: string, options: LabOptions): Promise<Lab> {
  const router = await Router.create(holder, `${prefix}-router`)
  const clients = await makeClients(holder, prefix, router, options.clientAddresses ?? 8)
  const directors: Namespace[] = []
  for (let index = 1; index <= (options.directors ?? 2); index++) {
    directors.push(await makeDirector(holder, prefix, router, index))
  }
  const servers: Namespace[] = []
  for (let index = 1; index <= (options.servers ?? 3); index++) {
    servers.push(await makeServer(holder, prefix, router, index))
  }
  return Lab.assemble(holder, { clients, router, directors, servers })
}

async function makeClients(
  holder: Holder,
  prefix: string,
  router: Router,
  count: number,
): Promise<Namespace> {
  const clients = await Namespace.create(holder, `${prefix}-clients`)
  await cable([clients, hostInterface], [router.namespace, outsideInterface])
  await router.namespace.ip(
    `addr add ${routerOutside.ipv4}/24 dev ${outsideInterface}`,
    `addr add ${routerOutside.ipv6}/64 dev ${outsideInterface} nodad`,
  )
  // Thousands of short connections must not run out of ports within a run.
  await clients.sysctl({ 'net.ipv4.ip_local_port_range': '10000 65000', 'net.ipv4.tcp_tw_reuse': 1 })
  await clients.ip(
    ...clientAddresses(count).map((address) => `addr add ${address}/24 dev ${hostInterface}`),
    ...clientAddresses(count, 'ipv6').map((address) => `addr add ${address}/64 dev ${hostInterface} nodad`),
    ...defaultRoutes(routerOutside),
  )
  return clients
}

async function makeDirector(
  holder: Holder,
  prefix: string,
  router: Router,
  index: number,
): Promise<Namespace> {
  const director = await Namespace.create(holder, `${prefix}-director${index}`)
  await attach(router, director, `director${index}`, index, directorAddress)
  // The virtual addresses are the director's own, as on an IPVS host: without its guard the
  // host's TCP would answer clients with RST.
  await director.ip(...virtualOnLoopback())
  return director
}

async function makeServer(holder: Holder, prefix: string, router: Router, index: number): Promise<Namespace> {
  const server = await Namespace.create(holder, `${prefix}-server${index}`)
  // Direct routing: several hosts have the virtual address, none may claim it on the network.
  await server.sysctl({
    'net.ipv4.conf.all.arp_ignore': 1,
    'net.ipv4.conf.all.arp_announce': 2,
    'net.core.somaxconn': 4096,
    'net.ipv4.tcp_max_syn_backlog': 8192,
  })
  await server.ip(...virtualOnLoopback())
  await attach(router, server, `server${index}`, index, serverAddress)
  return server
}

async function attach(
  router: Router,
  host: Namespace,
  portName: string,
  index: number,
  address: (index: number, family: 'ipv4' | 'ipv6') => string,
): Promise<void> {
  await cable([host, hostInterface], [router.namespace, portName])
  await router.namespace.ip(`link set ${portName} master ${insideInterface}`)
  await host.ip(
    `addr add ${address(index, 'ipv4')}/24 dev ${hostInterface}`,
    `addr add ${address(index, 'ipv6')}/64 dev ${hostInterface} nodad`,
    ...defaultRoutes(routerInside),
  )
}

function defaultRoutes(router: { readonly ipv4: string; readonly ipv6: string }): string[] {
  return [`route add default via ${router.ipv4}`, `route add default via ${router.ipv6}`]
}

function virtualOnLoopback(): string[] {
  return virtualAddresses.flatMap(({ ipv4, ipv6 }) => [
    `addr add ${ipv4}/32 dev lo`,
    `addr add ${ipv6}/128 dev lo nodad`,
  ])
}

function numbered<T>(list: readonly T[], index: number, what: string): T {
  const found = list[index - 1]
  if (found === undefined) throw new RangeError(`the lab has no ${what} ${index}, only 1 to ${list.length}`)
  return found
}
