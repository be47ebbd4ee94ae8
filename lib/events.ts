import type { DirectorError, DirectorErrorCode } from './errors.js'
import type { ServiceIdentity } from './snapshot.js'

/** By what kind of mid-stream packet connections were adopted. */
export type AdoptionCause =
  'tcp-ack' | 'tcp-fin' | 'tcp-other' | 'sctp-data' | 'sctp-setup' | 'sctp-shutdown' | 'icmp'

/** Connections were created by packets that are not their first: another director came or went. */
export interface AdoptedEvent {
  /** The service. */
  readonly service: ServiceIdentity
  /** By what kind of packet. */
  readonly cause: AdoptionCause
  /** How many connections since the last such event of this service and cause. */
  readonly count: number
  /** How many of them fallback (`sh-fallback`, `mh-fallback`) moved off the server that their bucket names. */
  readonly fallbackCount: number
  /** Client of one of them, `192.0.2.1:1234`. */
  readonly client: string
  /** Real server of the same one. */
  readonly server: string
}

/** Something about a real server. */
export interface ServerEvent {
  /** The service. */
  readonly service: ServiceIdentity
  /** The real server's address and port, `10.0.0.11:80`. */
  readonly server: string
}

/** Something about a network interface of the director. */
export interface InterfaceEvent {
  /** Its name, as the director was given it. */
  readonly interface: string
}

/** Something that an `error` event told works again. */
export interface RecoveredEvent {
  /** The error's code. */
  readonly code: DirectorErrorCode
  /** What works again. */
  readonly message: string
}

/**
 * Why an interface passes no frames: it is switched off (`down`) or has no carrier; nobody has its
 * name (`gone`); the device with its name carries no Ethernet frames (`not-ethernet`), or is one that
 * another of the director's interfaces names (`same-device`); or the director could not take its
 * device into use (`failed`): an `error` event says why, and it tries again.
 */
export type InterfaceDownReason = 'down' | 'no-carrier' | 'gone' | 'not-ethernet' | 'same-device' | 'failed'

/** An interface passes no frames. */
export interface InterfaceDownEvent extends InterfaceEvent {
  /** Why. */
  readonly reason: InterfaceDownReason
}

/** Events were lost because the JavaScript thread did not take them in time. */
export interface LostEvent {
  /** How many. */
  readonly count: number
}

/** The events of a director. */
export interface DirectorEvents {
  /** Connections were adopted mid-stream; of a live director at most ten times a second for each cause. */
  adopted: [event: AdoptedEvent]
  /** A server's weight became 0: it gets no new connections. */
  serverQuiesced: [event: ServerEvent]
  /** The last active connection of a quiesced or removed server has ended. */
  serverDrained: [event: ServerEvent]
  /**
   * An interface went down or away; the director goes on when it is back. Told once, and again only
   * when a reason is added that somebody has to do something about.
   */
  interfaceDown: [event: InterfaceDownEvent]
  /** An interface is usable again. */
  interfaceUp: [event: InterfaceEvent]
  /** Events were lost; counters never are. */
  eventsLost: [event: LostEvent]
  /**
   * Something failed while running, or a listener threw (`ERR_DIRECTOR_LISTENER_FAILED`). Without a
   * listener for it, it becomes an uncaught exception, as with every EventEmitter.
   */
  error: [error: DirectorError]
  /** What failed and was tried again, as an `error` event told once, works again. */
  recovered: [event: RecoveredEvent]
  /** The director has closed. Should something of it remain on the host, `close()` rejects. */
  close: []
}

/** An event as the core tells it. */
export type CoreEvent =
  | ({ readonly type: 'adopted' } & AdoptedEvent)
  | ({ readonly type: 'server-idle'; readonly id: number } & ServerEvent)
  | ({ readonly type: 'interface-down' } & InterfaceDownEvent)
  | ({ readonly type: 'interface-up' } & InterfaceEvent)
  | { readonly type: 'error' | 'recovered'; readonly code: string; readonly message: string }
  | { readonly type: 'worker-fault'; readonly worker: number; readonly message: string }
  | ({ readonly type: 'lost' } & LostEvent)
