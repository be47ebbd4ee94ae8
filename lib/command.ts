import type { SettingsPatch } from './settings.js'

/** Transport protocol of a virtual service. */
export type Protocol = 'tcp' | 'udp' | 'sctp'

/** Address family. */
export type Family = 'ipv4' | 'ipv6'

/** Identity of a virtual service by what its packets say. */
export interface AddressServiceKey {
  /** Transport protocol. */
  readonly protocol: Protocol
  /** Virtual address, IPv4 or IPv6, as text. */
  readonly address: string
  /** Virtual port, 0 to 65535; 0 catches what no other service has and needs persistence. */
  readonly port: number
}

/**
 * Identity of a virtual service on a range of ports of one address, or of a whole network (beyond
 * IPVS). A packet that several services fit goes to the one by address and port, then to the one on
 * the smallest network, and of those to the one with the fewest ports; then to the catch-all.
 */
export interface RangeServiceKey {
  /** Transport protocol. */
  readonly protocol: Protocol
  /** Virtual address as text; the first one of a network. */
  readonly address: string
  /** Prefix length of the network, 1 to 32 or 1 to 128. Default: the address alone. */
  readonly prefixLength?: number
  /** Virtual ports, first and last, 1 to 65535. Servers without a port are spoken to at the packet's. */
  readonly ports: readonly [number, number]
}

/** Identity of a virtual service by a mark (see `defineMark`). */
export interface MarkServiceKey {
  /** The mark, 1 to 4294967295. */
  readonly mark: number
  /** Address family of the packets. */
  readonly family: Family
}

/** Identity of a virtual service. */
export type ServiceKey = AddressServiceKey | RangeServiceKey | MarkServiceKey

/**
 * Scheduler, by its IPVS name. By hash, the same for the same client in every director: `sh` source
 * hashing, `mh` Maglev hashing, `dh` destination hashing. In turn: `rr` round robin, `wrr` weighted.
 * By connections: `lc` least, `wlc` least for the weight, `sed` shortest expected delay, `nq` an idle
 * server first, `twos` the better of two drawn by weight. By weight: `fo` the heaviest server, `ovf`
 * the heaviest that has no more active connections than weight. By virtual address, for caches:
 * `lblc` each address stays with a server, `lblcr` with a set of servers.
 */
export type SchedulerName =
  'rr' | 'wrr' | 'lc' | 'wlc' | 'lblc' | 'lblcr' | 'dh' | 'sh' | 'sed' | 'nq' | 'mh' | 'fo' | 'ovf' | 'twos'

/** Flag of the `sh` scheduler: see {@link SchedulerFlag}. */
export type ShFlag = 'sh-port' | 'sh-fallback'

/** Flag of the `mh` scheduler: see {@link SchedulerFlag}. */
export type MhFlag = 'mh-port' | 'mh-fallback'

/** Flag that means nothing to the scheduler, kept for those who set it (`ipvsadm -b flag-3`). */
export type PlainFlag = 'flag-1' | 'flag-2' | 'flag-3'

/**
 * Flag of the scheduler that it begins with: `sh-port` and `mh-port` hash the source port as well as
 * the source address; `sh-fallback` and `mh-fallback` take another server when the chosen one is
 * quiesced or overloaded.
 */
export type SchedulerFlag = ShFlag | MhFlag | PlainFlag

/** Client stickiness (IPVS persistence). */
export interface Persistence {
  /** Seconds a client stays with its server after its last new connection, 1 to 2678400. */
  readonly timeoutSeconds: number
  /** Leading bits of the client address that name one client, 0 to 32 or 0 to 128; with 0 all clients are one. Default: all. */
  readonly prefixLength?: number
}

/**
 * How packets reach a real server: `direct-routing` is IPVS Route, `ipvsadm -g`; `masquerading` gives
 * them the server's address and port, and replies, which must pass the director, the virtual ones,
 * `ipvsadm -m`; `tunnelling` wraps them in packets to the server, `ipvsadm -i`.
 */
export type ForwardingMethod = 'direct-routing' | 'masquerading' | 'tunnelling'

/** How packets are wrapped on their way to a real server. */
export interface Tunnel {
  /** Kind, as `ipvsadm --tun-type` names it. Default: `ipip`. */
  readonly type?: 'ipip' | 'gue' | 'gre'
  /** UDP port that the server decapsulates at, 1 to 65535. Needed for `gue`, refused for others. */
  readonly port?: number
  /**
   * Checksum of the tunnel's own header: `csum` for `gre` and `gue`; `remcsum` for `gue`, which also
   * leaves checksums that the sender left open to the server. Default: `nocsum`.
   */
  readonly checksum?: 'nocsum' | 'csum' | 'remcsum'
}

/** A tunnel as configured. */
export interface TunnelConfiguration {
  /** Kind. */
  readonly type: NonNullable<Tunnel['type']>
  /** UDP port that the server decapsulates at; null for kinds without one. */
  readonly port: number | null
  /** Checksum of the tunnel's own header. */
  readonly checksum: NonNullable<Tunnel['checksum']>
}

/** Identity of a real server within its service. */
export interface ServerKey {
  /** Address as text, of the service's family; with tunnelling of either. */
  readonly address: string
  /** Port; 0 is the packet's own. Default, and with anything but masquerading always: the service's port. */
  readonly port?: number
}

/** What of a packet names a client: the Call-ID of SIP over UDP. */
export type PersistenceEngine = 'sip'

/** Everything that can be said about a virtual service beside its identity and its servers. */
export interface ServiceAttributes {
  /** Scheduler. Without one every new connection finds no server. */
  readonly scheduler?: SchedulerName
  /** Flags of the scheduler. Default: none. */
  readonly flags?: readonly SchedulerFlag[]
  /** Whether mid-stream packets may create connections. Default: the global setting of the protocol. */
  readonly sloppy?: boolean
  /** Client stickiness. Default: none. */
  readonly persistence?: Persistence
  /** What names a client where packets have it; without `persistence` nothing. Default: the address. */
  readonly persistenceEngine?: PersistenceEngine
  /** One-packet scheduling: each UDP datagram is scheduled anew and leaves no connection. Default: false. */
  readonly onePacket?: boolean
}

/** A whole virtual service, without its servers. */
export type ServiceSpec = ServiceKey & ServiceAttributes

/** A whole real server. */
export interface ServerSpec extends ServerKey {
  /** Relative share of new connections, 0 to 2147483647; 0 quiesces. Default: 1. */
  readonly weight?: number
  /** Forwarding method. Default: `direct-routing`. */
  readonly forwarding?: ForwardingMethod
  /** How packets are wrapped; only with `tunnelling`. Default: IPIP. */
  readonly tunnel?: Tunnel
  /** Connections at which the server counts as overloaded; 0, the default, for never. */
  readonly upperThreshold?: number
  /** Connections below which an overloaded server takes new ones again; 0, the default, for 3/4 of the upper. */
  readonly lowerThreshold?: number
}

/** What carries a mark: a packet that fits every given condition. */
export interface MarkMatch {
  /** Transport protocol. Default: any. */
  readonly protocol?: Protocol
  /** Destination network: its address. */
  readonly address: string
  /** Destination network: its prefix length, 0 to 32 or 0 to 128. Default: the whole address. */
  readonly prefixLength?: number
  /** Destination ports, first and last. Default: any. */
  readonly ports?: readonly [number, number]
  /** Source network: its address, of the destination's family. Default: any. */
  readonly source?: string
  /** Source network: its prefix length, 0 to 32 or 0 to 128. Default: the whole address. */
  readonly sourcePrefixLength?: number
  /** Source ports, first and last. Default: any. */
  readonly sourcePorts?: readonly [number, number]
  /** Number of the interface (`ifindex`) that the packet came in by. Default: any. */
  readonly interface?: number
  /** VLAN that the packet came in by, 1 to 4094; 0 for none. Default: any. */
  readonly vlan?: number
}

/** A change of the configuration: what every other method of configuration ends in. */
export type Command =
  | { readonly type: 'add-service'; readonly service: ServiceSpec }
  | { readonly type: 'edit-service'; readonly service: ServiceSpec }
  | { readonly type: 'remove-service'; readonly service: ServiceKey }
  | { readonly type: 'clear' }
  | { readonly type: 'add-server'; readonly service: ServiceKey; readonly server: ServerSpec }
  | { readonly type: 'edit-server'; readonly service: ServiceKey; readonly server: ServerSpec }
  | {
      readonly type: 'set-weight'
      readonly service: ServiceKey
      readonly server: ServerKey
      readonly weight: number
    }
  | { readonly type: 'remove-server'; readonly service: ServiceKey; readonly server: ServerKey }
  | { readonly type: 'define-mark'; readonly mark: number; readonly matches: readonly MarkMatch[] }
  | { readonly type: 'settings'; readonly settings: SettingsPatch }
