/** What is known of a frame beside its octets. */
export interface FrameMeta {
  /** Number of the interface that it came in by, 1 to 2147483647. Default: 1. */
  readonly interface?: number
  /** VLAN tag control information that was taken out of the frame, 0 to 65535. Default: none. */
  readonly vlan?: number
  /** The layer-4 checksum covers the pseudo-header only (checksum offload). Default: false. */
  readonly checksumPartial?: boolean
  /** The frame stands for several segments (segmentation offload). Default: it does not. */
  readonly segmentation?: {
    /** Payload octets of each segment, 1 to 65535. */
    readonly segmentSize: number
    /** Octets of all headers, Ethernet included, 1 to 65535. */
    readonly headerLength: number
  }
}

/** The way to a real server, or back to a client, that an offline director is to assume. */
export type HopOptions =
  | 'unreachable'
  | 'resolving'
  | 'local'
  | {
      /** Number of the interface that frames leave by. Default: 1. */
      readonly interface?: number
      /** Largest IP packet in octets, 68 or more. Default: 1500. */
      readonly mtu?: number
      /** The interface's own hardware address. Default: a locally administered one. */
      readonly source?: string
      /** The neighbour's hardware address. Default: one made from the server's address. */
      readonly destination?: string
      /** The director's own address on the way, of the server's family. Default: one that is made up. */
      readonly local?: string
    }

/** A frame that leaves the director. */
export interface OutgoingFrame {
  /** The octets, Ethernet header included. */
  readonly frame: Uint8Array
  /** Number of the interface that it leaves by. */
  readonly interface: number
  /** VLAN tag control information to be put into it; absent for none. */
  readonly vlan?: number
}

/** The real server that a frame goes to or comes from. */
export interface VerdictServer {
  /** Number of the server. */
  readonly id: number
  /** Address. */
  readonly address: string
  /** Port. */
  readonly port: number
}

/** What an offline director says to a frame. */
export interface OfflineResult {
  /**
   * `forward` to a server, `return` of a masqueraded server's packet to the client, `route` of one that
   * belongs to no connection, `hold` a fragment until the others of its packet are there, `reply` by the
   * director itself, `pass` to the host, or `drop`.
   */
  readonly verdict: 'forward' | 'return' | 'route' | 'hold' | 'reply' | 'pass' | 'drop'
  /** Why, for `reply`, `pass` and `drop`: the stable name of the reason, which is also the name of its counter. */
  readonly reason?: string
  /** The server, for `forward`, `return` and `route`. */
  readonly server?: VerdictServer
  /** What leaves the director: the rewritten frame, fragments of it, or the reply. */
  readonly frames: readonly OutgoingFrame[]
  /** Whether the frame waits for the neighbour's hardware address instead; see `takeReleased()`. */
  readonly waiting: boolean
}
