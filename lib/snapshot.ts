import type {
  Family,
  ForwardingMethod,
  Persistence,
  PersistenceEngine,
  Protocol,
  RangeServiceKey,
  SchedulerFlag,
  SchedulerName,
  TunnelConfiguration,
} from './command.js'
import type { DefenceSnapshot, FragmentStatistics, Rates } from './counters.js'

/** Number of a configuration and digest of its content. Directors of equal digests place new connections alike. */
export interface Version {
  /** Counts the accepted changes, from 0. */
  readonly number: number
  /** 16 hexadecimal digits over everything that decides where connections go, server order included. */
  readonly digest: string
}

/** Traffic counters, as `ipvsadm -L --stats` prints them. All grow only and are exact below 2^53. */
export interface Traffic {
  /** Connections scheduled. */
  readonly connections: number
  /** Packets from clients. */
  readonly inPackets: number
  /** Packets from servers; 0 for direct routing. */
  readonly outPackets: number
  /** Octets from clients, IP headers included. */
  readonly inOctets: number
  /** Octets from servers, IP headers included. */
  readonly outOctets: number
}

/** A counter with the stable name of what it counts. */
export interface NamedCounter {
  /** Stable name, for example `no-service`. */
  readonly name: string
  /** How often. */
  readonly count: number
}

/** A real server as configured. */
export interface ServerConfiguration {
  /** Address. */
  readonly address: string
  /** Port that it is spoken to. */
  readonly port: number
  /** Relative share of new connections; 0 when quiesced. */
  readonly weight: number
  /** Forwarding method. */
  readonly forwarding: ForwardingMethod
  /** How packets are wrapped; null unless they are. */
  readonly tunnel: TunnelConfiguration | null
  /** Connections at which it counts as overloaded; 0 for never. */
  readonly upperThreshold: number
  /** Connections below which it recovers; 0 for 3/4 of the upper. */
  readonly lowerThreshold: number
}

/** A real server as configured and as observed. */
export interface ServerSnapshot extends ServerConfiguration {
  /** Number of the server while anything remembers it. */
  readonly id: number
  /** Connections in active states. */
  readonly activeConnections: number
  /** Connections in inactive states. */
  readonly inactiveConnections: number
  /** Persistence templates. */
  readonly persistentConnections: number
  /** Whether the upper threshold was reached. */
  readonly overloaded: boolean
  /** Counters. */
  readonly traffic: Traffic
  /** Averages a second. */
  readonly rates: Rates
}

/** Identity of a service, as snapshots carry it. */
export type ServiceIdentity =
  | { readonly protocol: Protocol; readonly address: string; readonly port: number }
  | RangeServiceKey
  | { readonly mark: number; readonly family: Family }

/** A virtual service as configured, without its servers. */
export type ServiceConfiguration = ServiceIdentity & {
  /** Scheduler; null for none. */
  readonly scheduler: SchedulerName | null
  /** Flags of the scheduler. */
  readonly flags: readonly SchedulerFlag[]
  /** Whether mid-stream packets may create connections; null for the global setting. */
  readonly sloppy: boolean | null
  /** Client stickiness; null for none. */
  readonly persistence: Persistence | null
  /** What names a client in place of its address; null for the address. */
  readonly persistenceEngine: PersistenceEngine | null
  /** One-packet scheduling. */
  readonly onePacket: boolean
}

/** A virtual service as configured and as observed. */
export type ServiceSnapshot = ServiceConfiguration & {
  /** Servers in list order: the newest first, as schedulers walk them. */
  readonly servers: readonly ServerSnapshot[]
  /** Counters. */
  readonly traffic: Traffic
  /** Averages a second. */
  readonly rates: Rates
  /** Connections adopted mid-stream, by cause. */
  readonly adopted: readonly NamedCounter[]
  /** New connections that `sh-fallback` or `mh-fallback` moved off an unavailable server. */
  readonly movedByFallback: number
  /** New connections refused because no server could take them. */
  readonly refused: number
}

/** Everything counted, at one moment. */
export interface Statistics {
  /** The configuration that the numbers belong to. */
  readonly version: Version
  /** Services, in the order they were added. */
  readonly services: readonly ServiceSnapshot[]
  /** Totals. */
  readonly traffic: Traffic
  /** Averages of the totals a second. */
  readonly rates: Rates
  /** Frames forwarded. */
  readonly forwarded: number
  /** Fragments kept until the others of their packet came. */
  readonly held: number
  /** Packets of masqueraded servers that went back to clients. */
  readonly returned: number
  /** Packets of masqueraded servers that belong to no connection and were routed on (`routeServers`). */
  readonly routed: number
  /** Frames left to the host, by reason. */
  readonly passed: readonly NamedCounter[]
  /** Frames dropped, by reason. */
  readonly dropped: readonly NamedCounter[]
  /** Frames answered by the director itself, by reason. */
  readonly replied: readonly NamedCounter[]
  /** Entries in the connection table, templates included. */
  readonly connections: number
  /** Entries the table can hold. */
  readonly connectionLimit: number
  /** New connections placed without an entry because the table was full. */
  readonly placedWithoutEntry: number
  /** What the fast path has and has carried; all 0 where there is none. */
  readonly fastPath: FastPathSnapshot
  /** What the defence against floods does and did. */
  readonly defence: DefenceSnapshot
  /** Packets that came in fragments. */
  readonly fragments: FragmentStatistics
}

/**
 * Connections whose frames the kernel forwards for the director, and what they carried up to now. The counters of
 * traffic and of forwarded frames have them, too.
 */
export interface FastPathSnapshot {
  /** Connections on the fast path now. */
  readonly connections: number
  /** Frames that it forwarded. */
  readonly packets: number
  /** Octets of their IP packets. */
  readonly octets: number
  /** Frames that it forwarded of connections that were over by then. */
  readonly unknown: number
}

/** What one interface of a live director has carried, over all workers. */
export interface InterfaceSnapshot {
  /** Its name; its number when it is gone. */
  readonly interface: string
  /** Its number. */
  readonly index: number
  /** Frames that reached the director. */
  readonly received: number
  /** Frames that the kernel dropped because the receive ring was full. */
  readonly ringDrops: number
  /**
   * Frames of no known connection that the kernel dropped under overload, because the ring for such frames
   * was full. Known connections have a ring of their own then, and lose none of theirs for it.
   */
  readonly unknownDrops: number
  /** Frames that did not fit into the ring's slots and were dropped. */
  readonly cut: number
  /** Frames not addressed to this host at layer 2, left alone. */
  readonly otherHost: number
  /** Frames handed to the kernel. */
  readonly sent: number
  /** Frames that the kernel refused. */
  readonly sendFailures: number
}

/** The way to the real servers at one address. */
export interface HopSnapshot {
  /** The servers' address. */
  readonly address: string
  /** The router on the way to it; `null` where there is none, and always with direct routing. */
  readonly gateway: string | null
  /** `resolving` while frames wait for the neighbour; `local`, an address of the director's own host, gets nothing. */
  readonly state: 'ready' | 'resolving' | 'unreachable' | 'local'
  /** The interface that frames leave by, once the way is ready. */
  readonly interface: string | null
  /** The neighbour's hardware address, once the way is ready. */
  readonly neighbour: string | null
  /** Largest IP packet, in octets, that fits. */
  readonly mtu: number | null
}

/** What became of frames that had to wait for the hardware address of a server, or for the way to a client. */
export interface WaitingSnapshot {
  /** Frames waiting now. */
  readonly waiting: number
  /** Frames that had to wait. */
  readonly queued: number
  /** Frames that went out when the address was found. */
  readonly released: number
  /** Frames dropped because too many waited. */
  readonly full: number
  /** Frames dropped because they had waited too long. */
  readonly expired: number
  /** Frames dropped because there is no neighbour or no way any more. */
  readonly unreachable: number
  /** Frames dropped because they turned out too large for the way to their client. */
  readonly tooBig: number
}

/** Everything that a live director counts, at one moment. */
export interface LiveStatistics extends Statistics {
  /** What the interfaces carried. */
  readonly ports: readonly InterfaceSnapshot[]
  /** The ways to the real servers, by address. */
  readonly hops: readonly HopSnapshot[]
  /** What became of frames that had to wait. */
  readonly pending: WaitingSnapshot
  /** How often the hardware address of a server, or of what leads to a client, was not found. */
  readonly neighbourFailures: number
}
