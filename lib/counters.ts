/**
 * Averages a second, as `ipvsadm -L --rate` prints them: IPVS's estimate, which goes a quarter of the
 * way to the latest sample every two seconds. Whole numbers; octets, not bits.
 */
export interface Rates {
  /** Connections scheduled (CPS). */
  readonly connections: number
  /** Packets from clients (InPPS). */
  readonly inPackets: number
  /** Packets from servers (OutPPS); 0 for direct routing. */
  readonly outPackets: number
  /** Octets from clients (InBPS). */
  readonly inOctets: number
  /** Octets from servers (OutBPS). */
  readonly outOctets: number
}

/** What the defence against floods does at present, and did. */
export interface DefenceSnapshot {
  /** Whether connections are being dropped (`dropEntry`). */
  readonly dropsEntries: boolean
  /** One of so many packets that would make connections is dropped (`dropPacket`); 0 for none. */
  readonly dropRate: number
  /** Whether TCP follows the table for times of attack (`secureTcp`). */
  readonly securesTcp: boolean
  /** Connections and templates that were dropped. */
  readonly droppedEntries: number
}

/** Packets that came in fragments and are put together before they are judged. */
export interface FragmentStatistics {
  /** Packets now some of whose fragments are missing. */
  readonly waiting: number
  /** Packets put together. */
  readonly reassembled: number
  /** Packets given up because the rest did not come in 30 seconds. */
  readonly expired: number
  /** Packets given up to make room for others. */
  readonly evicted: number
}
