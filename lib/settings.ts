/** Global settings, named after their IPVS sysctls. */
export interface Settings {
  /** Adopt mid-stream TCP connections (`sloppy_tcp`). Default: false. */
  readonly sloppyTcp: boolean
  /** Adopt mid-stream SCTP associations (`sloppy_sctp`). Default: false. */
  readonly sloppySctp: boolean
  /** Let ICMP errors of unknown connections create them (`schedule_icmp`). Default: false. */
  readonly scheduleIcmp: boolean
  /** Reschedule connections of removed and quiesced servers (`expire_nodest_conn`). Default: false. */
  readonly expireNodestConn: boolean
  /** Ignore persistence templates of quiesced servers (`expire_quiescent_template`). Default: false. */
  readonly expireQuiescentTemplate: boolean
  /** Whether a SYN on a finished connection is scheduled anew, 0 to 3 (`conn_reuse_mode`). Default: 1. */
  readonly connReuseMode: number
  /** Let tunnels respect "don't fragment" and tell senders what fits (`pmtu_disc`). Default: true. */
  readonly pmtuDisc: boolean
  /**
   * Answer packets of masqueraded servers that belong to no connection with "port unreachable"
   * (`nat_icmp_send`). Default: false.
   */
  readonly natIcmpSend: boolean
  /**
   * Route on, as a router would, what masqueraded servers send from a service's port and belongs to no
   * connection. TCP and SCTP of servers whose services adopt connections (`sloppy`) are not routed on:
   * they may be answers to connections that are not adopted yet. Default: true.
   */
  readonly routeServers: boolean
  /**
   * Answer mid-stream TCP packets to a service that belong to no connection, and that none may be made
   * of, with a reset, so that clients connect anew at once. Only for a director without a group: in a
   * group another director may know the connection. Default: false.
   */
  readonly resetMidstream: boolean
  /** Refuse addresses and ports that IPVS accepts and that are of no use to a director. Default: true. */
  readonly strictAddresses: boolean
  /** Seconds an established TCP connection may idle, 1 to 2678400. Default: 900. */
  readonly tcpTimeoutSeconds: number
  /** Seconds a TCP connection stays in FIN_WAIT, 1 to 2678400. Default: 120. */
  readonly tcpFinTimeoutSeconds: number
  /** Seconds a UDP flow may idle, 1 to 2678400. Default: 300. */
  readonly udpTimeoutSeconds: number
  /**
   * Drop connections of little worth (`drop_entry`): 0 never, 1 or 2 while fewer than `amemthresh`
   * entries are free, 3 always. Each second a random 1/32 of the table is looked at; half-open
   * connections go, established and UDP ones with few packets are thinned out. Default: 0.
   */
  readonly dropEntry: number
  /**
   * Drop one of several packets that would make connections (`drop_packet`), modes as `dropEntry`:
   * one of `amDroprate` in mode 3, else the more the fewer entries are free. Default: 0.
   */
  readonly dropPacket: number
  /** Let TCP follow IPVS's table for times of attack (`secure_tcp`), modes as `dropEntry`. Default: 0. */
  readonly secureTcp: number
  /** One of so many packets is dropped by `dropPacket` 3, 1 to 4294967295 (`am_droprate`). Default: 10. */
  readonly amDroprate: number
  /**
   * Free entries of each worker's connection table below which modes 1 and 2 act, 0 to 4294967295
   * (`amemthresh`, in IPVS free pages of memory). Default: 1024.
   */
  readonly amemthresh: number
  /** Whether rates are estimated (`run_estimation`). Default: true. */
  readonly runEstimation: boolean
  /** ICMP errors and resets the director makes a second at most; 0 for no limit. Default: 1000. */
  readonly icmpErrorsPerSecond: number
}

/** Changes of the global settings; what is absent stays as it is. */
export type SettingsPatch = Partial<Settings>
