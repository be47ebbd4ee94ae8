import type { ForwardingMethod, PersistenceEngine, Protocol, ServiceKey } from './command.js'

/** One entry of the connection table. */
export interface ConnectionRow {
  /** Protocol; null for a template of a service by mark. */
  readonly protocol: Protocol | null
  /** Client address and port, `192.0.2.1:1234` or `[2001:db8::1]:1234`; masked, with port 0, for a template. */
  readonly client: string
  /** Virtual address and port. */
  readonly virtualAddress: string
  /** Real server's address and the port it is spoken to. */
  readonly server: string
  /** State, as `ipvsadm -L -c` prints it, for example `ESTABLISHED`. */
  readonly state: string
  /** Milliseconds until it expires. */
  readonly expiresInMs: number
  /** Whether it is a persistence template. */
  readonly template: boolean
  /** Forwarding method. */
  readonly forwarding: ForwardingMethod
  /** Packets from the client. */
  readonly inPackets: number
  /** Of a template that data of packets find, whoever the client is: what took them out of packets. */
  readonly persistenceEngine: PersistenceEngine | null
  /** Those data: a Call-ID. */
  readonly persistenceData: string | null
}

/** Which connections to list; all given conditions must hold. */
export interface ConnectionFilter {
  /** Of this service. */
  readonly service?: ServiceKey
  /** Of the real server with this address. */
  readonly server?: string
  /** Of this client address. */
  readonly client?: string
  /** In this state, as rows spell it. */
  readonly state?: string
  /** Only templates (true) or only connections (false). Default: both. */
  readonly template?: boolean
}

/** A part of a connection listing. */
export interface ConnectionPage {
  /** The rows. */
  readonly rows: readonly ConnectionRow[]
  /** Where the next page begins; null after the last. */
  readonly next: number | null
}
