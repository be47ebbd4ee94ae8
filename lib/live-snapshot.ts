import type { Statistics } from './snapshot.js'

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

/** Something that fails at the moment and is tried again, after 1 s at first and after 30 s at most. */
export interface FailureSnapshot {
  /** Code of the `error` event that told it, in kebab-case: `socket` for `ERR_DIRECTOR_SOCKET`. */
  readonly code: string
  /** What fails, and why at the last attempt. */
  readonly message: string
  /** Attempts that failed since it began. */
  readonly attempts: number
}

/** What became of frames that the kernel gave to one worker and that were another's. */
export interface HandOverSnapshot {
  /** Frames handed to another worker. */
  readonly frames: number
  /** Frames dropped because too many waited for that worker. */
  readonly full: number
}

/** Everything that a live director counts, at one moment. */
export interface LiveStatistics extends Statistics {
  /** What the interfaces carried. */
  readonly ports: readonly InterfaceSnapshot[]
  /** The ways to the real servers, by address. */
  readonly hops: readonly HopSnapshot[]
  /** What became of frames that had to wait. */
  readonly pending: WaitingSnapshot
  /** What became of frames that were another worker's; nothing with one worker. */
  readonly handedOver: HandOverSnapshot
  /** How often the hardware address of a server, or of what leads to a client, was not found. */
  readonly neighbourFailures: number
  /** What fails at the moment and is tried again; empty when all is well. */
  readonly failing: readonly FailureSnapshot[]
}
