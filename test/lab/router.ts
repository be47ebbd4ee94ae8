import {
  clientAddress,
  directorAddress,
  hostPrefix,
  networks,
  routerInside,
  routerOutside,
  virtualAddresses,
  type Family,
} from './addresses.ts'
import type { Holder } from './holder.ts'
import { Namespace } from './namespace.ts'

const families = ['ipv4', 'ipv6'] as const satisfies Family[]

/** The name of the router's interface towards directors and servers: a switch with an address. */
export const insideInterface = 'inside'

/**
 * The ECMP router: spreads the virtual addresses over the announced directors by a hash of
 * addresses and ports, as a router does that learned one route from each of them.
 */
export class Router {
  readonly namespace: Namespace
  readonly #announced = new Set<number>()
  #changing: Promise<void> = Promise.resolve()

  private constructor(namespace: Namespace) {
    this.namespace = namespace
  }

  static async create(holder: Holder, name: string): Promise<Router> {
    const namespace = await Namespace.create(holder, name)
    await namespace.sysctl({
      'net.ipv4.ip_forward': 1,
      'net.ipv6.conf.all.forwarding': 1,
      // Traffic for a director comes in and, answered by a server, leaves by one interface.
      'net.ipv4.conf.all.send_redirects': 0,
      'net.ipv4.conf.default.send_redirects': 0,
      // Path MTU tests provoke more ICMP errors a second than the defaults allow.
      'net.ipv4.icmp_ratelimit': 0,
      'net.ipv6.icmp.ratelimit': 0,
    })
    await namespace.ip(
      `link add ${insideInterface} type bridge mcast_snooping 0`,
      `link set ${insideInterface} up`,
      `addr add ${routerInside.ipv4}/24 dev ${insideInterface}`,
      `addr add ${routerInside.ipv6}/64 dev ${insideInterface} nodad`,
    )
    await hashByHeaders(namespace)
    const router = new Router(namespace)
    await router.#install()
    return router
  }

  /** Numbers of the directors traffic is sent to. */
  get announced(): readonly number[] {
    return [...this.#announced].toSorted((a, b) => a - b)
  }

  /** Sends traffic to a director, too. */
  async announce(director: number): Promise<void> {
    this.#announced.add(director)
    await this.#install()
  }

  /** Sends no more traffic to a director. */
  async withdraw(director: number): Promise<void> {
    this.#announced.delete(director)
    await this.#install()
  }

  /** Gives the way to the clients a smaller MTU than theirs; `undefined` for no such limit. */
  async limitOutside(mtu: number | undefined, interfaceName: string): Promise<void> {
    const limit = mtu === undefined ? '' : ` mtu ${mtu}`
    await this.namespace.ip(
      `route replace ${networks.outside.ipv4} dev ${interfaceName} src ${routerOutside.ipv4}${limit}`,
      `route replace ${clientAddress(1, 'ipv6')}/128 dev ${interfaceName}${limit}`,
    )
  }

  /** Changes are made one after the other, each with the directors announced by then. */
  #install(): Promise<void> {
    this.#changing = this.#changing.then(() => this.namespace.ip(...this.#routes()))
    return this.#changing
  }

  #routes(): string[] {
    return families.flatMap((family) =>
      virtualAddresses.map((address) => {
        const prefix = `${address[family]}/${hostPrefix(family)}`
        const hops = this.announced.map((index) => directorAddress(index, family))
        // Without a director packets vanish, as they would at a router that knows no route yet:
        // an error would end connections that a returning director could have carried on.
        if (hops.length === 0) return `route replace blackhole ${prefix}`
        const ways = hops.map((hop) => `nexthop via ${hop} dev ${insideInterface}`)
        return `route replace ${prefix} ${ways.join(' ')}`
      }),
    )
  }
}

/**
 * Makes the router choose by addresses, protocol and ports, so that the connections of one client
 * spread too.
 *
 * Policy 1 says the same, but takes the hash that the sending socket left with the packet where
 * there is one, as there is between namespaces; a TCP sender draws a new one whenever its
 * retransmission timer fires, and the connection would change directors for no reason a real router
 * has. Policy 3 always reads the headers (Linux 5.12; fields as in ip-sysctl: 0x01 source, 0x02
 * destination, 0x04 protocol, 0x10 source port, 0x20 destination port).
 */
async function hashByHeaders(namespace: Namespace): Promise<void> {
  for (const family of families) {
    await namespace.sysctl({
      [`net.${family}.fib_multipath_hash_policy`]: 3,
      [`net.${family}.fib_multipath_hash_fields`]: 0x37,
    })
  }
}
