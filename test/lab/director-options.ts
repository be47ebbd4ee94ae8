import { serverAddress, virtualAddress, type Family } from './addresses.ts'
import { hostInterface } from './topology.ts'

type Protocol = 'tcp' | 'udp' | 'sctp'

/** What the directors of a lab are to do; every field has a default. */
export interface DirectingOptions {
  /** Services are made for each of these on each of the families: `['tcp']`. */
  readonly protocols?: readonly Protocol[]
  /** `['ipv4']`. */
  readonly families?: readonly Family[]
  /** Virtual port: 80. */
  readonly port?: number
  /** Real servers, from 1: 3. */
  readonly servers?: number
  /** Adopt connections mid-stream: true. */
  readonly sloppy?: boolean
  /** `sh-fallback`: true. */
  readonly fallback?: boolean
  /** Further options of each real server. */
  readonly server?: object
  /** Family of the servers' addresses: that of the service. */
  readonly serverFamily?: Family
  /** Further options of `Director.start()`. */
  readonly more?: object
}

/** Options of `Director.start()` for a lab: `sh` with `sh-port` over the lab's servers. */
export function directorOptions(options: DirectingOptions = {}): object {
  const { protocols = ['tcp'], families = ['ipv4'], port = 80, servers = 3 } = options
  const { sloppy = true, fallback = true, more = {}, server = {}, serverFamily } = options
  const flags = fallback ? ['sh-port', 'sh-fallback'] : ['sh-port']
  const services = protocols.flatMap((protocol) =>
    families.map((family) => ({
      protocol,
      address: virtualAddress[family],
      port,
      scheduler: 'sh',
      flags,
      servers: Array.from({ length: servers }, (_, index) => ({
        address: serverAddress(index + 1, serverFamily ?? family),
        ...server,
      })),
    })),
  )
  return { interfaces: [hostInterface], sloppy: { tcp: sloppy, sctp: sloppy }, services, ...more }
}
