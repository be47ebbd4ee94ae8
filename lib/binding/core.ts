import type { Command, ServiceKey } from '../command.js'
import type { Configuration } from '../configuration.js'
import type { ConnectionFilter, ConnectionPage } from '../connection.js'
import type { CoreEvent } from '../events.js'
import type { Explanation, Flow } from '../explanation.js'
import type { Spread } from '../options/start.js'
import type { LiveStatistics } from '../live-snapshot.js'
import type { Statistics, Version } from '../snapshot.js'
import type { FrameMeta, HopOptions, OfflineResult, OutgoingFrame } from '../verdict.js'
import type { OutcomeText } from './outcome.js'
import type { JsonText } from './text.js'

/** What live and offline directors of the addon share. */
export interface CoreControl {
  /** Applies commands, all or none. */
  apply(commands: JsonText<readonly Command[]>): OutcomeText<Version>
  /** The configuration in force; of the services one, if it is named. */
  configuration(only: JsonText<ServiceKey | null>): OutcomeText<Configuration>
  /** Takes the events that wait; `null` when nothing happened. */
  takeEvents(): JsonText<CoreEvent[]> | null
}

/** The addon's live director. */
export interface CoreDirector extends CoreControl {
  /** Starts it, once; `wake` is called when there are events to take. */
  start(options: JsonText<CoreStartOptions>, wake: () => void): Promise<OutcomeText<null>>
  /** Reads all counters; of the services those of one, if it is named. */
  statistics(only: JsonText<ServiceKey | null>): Promise<OutcomeText<LiveStatistics>>
  /** Lists a part of the connection table. */
  connections(
    filter: JsonText<ConnectionFilter>,
    cursor: number,
    limit: number,
  ): Promise<OutcomeText<ConnectionPage>>
  /** Says where a flow goes. */
  explain(flow: JsonText<Flow>): Promise<OutcomeText<Explanation>>
  /** Sets counters to zero. */
  zero(service: JsonText<ServiceKey | null>): Promise<OutcomeText<null>>
  /** Stops and undoes everything. */
  close(): Promise<OutcomeText<null>>
}

/** The addon's offline director. */
export interface CoreOfflineDirector extends CoreControl {
  /** Judges a frame. */
  process(frame: Uint8Array, meta: FrameMeta): OfflineResult
  /** Judges frames one after the other. */
  processAll(frames: readonly Uint8Array[], meta: FrameMeta): OfflineResult[]
  /** Frames that waited for a neighbour and may go now. */
  takeReleased(): OutgoingFrame[]
  /** Lets time pass, in milliseconds. */
  advance(milliseconds: number): void
  /** The virtual clock, in milliseconds. */
  now(): number
  /** States the way to a server. */
  setHop(address: string, hop: JsonText<HopOptions>): OutcomeText<null>
  /** Reads all counters; of the services those of one, if it is named. */
  statistics(only: JsonText<ServiceKey | null>): OutcomeText<Statistics>
  /** Lists a part of the connection table. */
  connections(filter: JsonText<ConnectionFilter>, cursor: number, limit: number): OutcomeText<ConnectionPage>
  /** Says where a flow goes. */
  explain(flow: JsonText<Flow>): OutcomeText<Explanation>
  /** Says where a frame goes. */
  explainFrame(frame: Uint8Array): OutcomeText<Explanation>
  /** Sets counters to zero. */
  zero(service: JsonText<ServiceKey | null>): OutcomeText<null>
}

/** Options of the addon's live director. */
export interface CoreStartOptions {
  readonly interfaces: readonly string[]
  readonly workers?: number
  readonly connections?: number
  readonly spread?: Spread
  readonly ringFrames?: number
  readonly fragmentOctets?: number
  readonly answerNeighbours?: boolean
  readonly fastPath?: boolean
  readonly busyPollMicroseconds?: number
  readonly bypassQueue?: boolean
  readonly promiscuous?: boolean
  readonly services: readonly Command[]
}

/** The addon. */
export interface CoreAddon {
  /** Version of the package that the addon was built from. */
  version(): string
  /** Who connected to the Unix socket `fd`; throws when that is none. */
  peer(fd: number): { readonly pid: number; readonly uid: number; readonly gid: number }
  /** Tells the service manager at `socket` what goes on; throws when nobody listens. */
  notify(socket: string, state: string): void
  /** Makes a live director that is not started yet. */
  readonly BindingDirector: new () => CoreDirector
  readonly BindingOfflineDirector: new (options: {
    connections?: number
    seed?: number
  }) => CoreOfflineDirector
}
