import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { TextRun, TextSequence } from './text.ts'

/** Configuration of a case or scenario: command lines, kernel settings, packet marks. */
export interface RecordedConfig {
  readonly ipvsadm: readonly string[]
  readonly sysctl?: Readonly<Record<string, string | number>>
  /** What gave packets their mark, in the recorder's words. */
  readonly nft?: string
}

/** First packets of flows and where each went: index into `dests`, -1 refused, -2 nothing came out. */
export interface Burst {
  readonly flowset: string
  readonly from: number
  readonly to: number
  readonly expected: readonly (number | null)[]
}

interface CaseHead {
  readonly id: string
  readonly family: 4 | 6
  readonly proto: 'tcp' | 'udp' | 'sctp'
  readonly vip: string
  readonly port: number
  readonly dests: readonly string[]
}

/** One fresh service and one burst (`sh_static`). */
export interface StaticCase extends CaseHead, Burst {
  readonly config: RecordedConfig
  readonly list_order: readonly number[]
}

/** Phases on one live director (`sh_dynamic`). */
export interface DynamicCase extends CaseHead {
  readonly phases: readonly {
    readonly ipvsadm: readonly string[]
    readonly bursts: readonly Burst[]
    readonly after: string
  }[]
}

/** `[protocol, "client port", "virtual port", "server port", state, seconds left]`. */
export type ConnectionRecord = readonly [string, string, string, string, string, number]
/** `[address, port, forwarding, weight, active, inactive]`. */
export type ServerRecord = readonly [string, number, string, number, number, number]

export interface Step {
  readonly from?: 'cli' | 'rs'
  readonly desc?: string
  readonly in?: string
  readonly out?: readonly { readonly to: 'rs' | 'cli'; readonly frame: string }[] | null
  readonly conns?: readonly ConnectionRecord[] | null
  readonly dests?: readonly ServerRecord[]
  readonly gone?: readonly (readonly [string, string])[]
  readonly ipvsadm?: string
  readonly rc?: number
  readonly sysctl?: Readonly<Record<string, string | number>>
  /** Seconds waited. */
  readonly sleep?: number
}

/** Frames in order, and what the kernel did with each. */
export interface Scenario {
  readonly name: string
  readonly family: 4 | 6
  readonly proto: string
  readonly config: RecordedConfig
  readonly vip: string
  readonly vport: number
  readonly steps: readonly Step[]
}

/** What happened in a sequence: a first packet, a later one, or a command. */
export interface SequenceEvent {
  /** Client, port, and the virtual address where it is not the sequence's. */
  readonly new?: readonly [string, number, string?]
  /** Flags of a later TCP packet. */
  readonly pkt?: string
  /** Which first packet's connection it belongs to, from 0. */
  readonly conn?: number
  readonly cmd?: string
  readonly rc?: number
  /** Index into `dests`, -1 refused, -2 nothing came out. */
  readonly to?: number | null
  /** `[index into dests, weight, active, inactive]`, in list order, after the event. */
  readonly dests?: readonly (readonly number[])[]
}

/** Connections in order, and the server of each (`sched_sequences`). */
export interface Sequence extends Omit<Scenario, 'steps'> {
  readonly dests: readonly string[]
  readonly events: readonly SequenceEvent[]
}

/** Named lists of flows. */
export type FlowSets = Readonly<Record<string, readonly (readonly [string, number])[]>>

export interface Recording {
  readonly cases?: readonly (StaticCase | DynamicCase)[]
  readonly scenarios?: readonly (Scenario | Sequence)[]
  readonly flowsets?: FlowSets
  readonly sequences?: readonly TextSequence[]
  readonly runs?: readonly TextRun[]
}

/** The names of the recordings in `folder`, sorted. */
export function listRecordings(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json.gz'))
    .toSorted()
}

export function readRecording(folder: string, name: string): Recording {
  return JSON.parse(gunzipSync(readFileSync(join(folder, name))).toString('utf8')) as Recording
}
