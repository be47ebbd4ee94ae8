import type { Protocol } from './command.js'
import type { ConnectionRow } from './connection.js'
import type { ServiceIdentity, Version } from './snapshot.js'

/** A flow to explain: what the headers of its packets say. */
export interface Flow {
  /** Protocol. */
  readonly protocol: Protocol
  /** Client's address. */
  readonly clientAddress: string
  /** Client's port, 0 to 65535. */
  readonly clientPort: number
  /** Virtual address. */
  readonly virtualAddress: string
  /** Virtual port, 0 to 65535. */
  readonly virtualPort: number
  /** Number of the interface (`ifindex`) it comes in by. Without it no mark that names an interface is met. */
  readonly interface?: number
  /** VLAN it comes in by, 0 for none. Without it no mark that names a VLAN is met. */
  readonly vlan?: number
}

/** A real server, named. */
export interface ServerReference {
  /** Number of the server. */
  readonly id: number
  /** Address. */
  readonly address: string
  /** Port. */
  readonly port: number
  /** Current weight. */
  readonly weight: number
  /** Whether it is overloaded. */
  readonly overloaded: boolean
}

/** A scheduler's answer, step by step. */
export interface ScheduleExplanation {
  /** Scheduler name. */
  readonly scheduler: string
  /** Hash of the flow; null for schedulers that do not hash. */
  readonly hash: number | null
  /** Bucket of the table; null likewise. */
  readonly bucket: number | null
  /** Size of the table; null likewise. */
  readonly tableSize: number | null
  /** The server that the bucket names, available or not. */
  readonly firstChoice: ServerReference | null
  /** Buckets that fallback looked at after the first, in order. */
  readonly probes: readonly number[]
  /** Whether fallback moved the flow off its first choice. */
  readonly movedByFallback: boolean
  /** The answer; null when no server can take the flow. */
  readonly server: ServerReference | null
}

/** Why a flow goes where it goes. Nothing is changed by asking. */
export interface Explanation {
  /** The flow that was asked about. */
  readonly flow: Flow
  /** The configuration that answered. */
  readonly version: Version
  /** The service that takes it; null if it passes to the host. */
  readonly service: ServiceIdentity | null
  /** The connection that it already belongs to. */
  readonly connection: ConnectionRow | null
  /** The persistence template that it would follow. */
  readonly template: ConnectionRow | null
  /** What the scheduler would answer for a new connection. */
  readonly schedule: ScheduleExplanation | null
  /** Where the next packet goes; null if nowhere. */
  readonly server: ServerReference | null
  /** The whole in a sentence. */
  readonly reason: string
}
