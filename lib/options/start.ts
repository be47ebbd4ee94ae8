import { identityOf } from '../address.js'
import type { Command } from '../command.js'
import type { MarkDefinition } from '../configuration.js'
import type { SettingsPatch } from '../settings.js'
import { arrayOf, flag, integer, object, oneOf, text } from './check.js'
import type { Check, Fields } from './check.js'
import { mark } from './key.js'
import { markMatches } from './mark.js'
import type { Problems } from './problems.js'
import { at, show } from './problems.js'
import type { ServiceOptions, ServiceWithServers } from './service.js'
import { serviceOptions } from './service.js'
import { settings } from './settings.js'

/** Where a director writes what it does; a pino logger fits. */
export interface Logger {
  /** Details. */
  debug(message: string): void
  /** Start and close. */
  info(message: string): void
  /** Interfaces that went down or up. */
  warn(message: string): void
  /** Faults. */
  error(message: string): void
}

/** Which protocols adopt mid-stream connections; a shorthand for two of the settings. */
export interface SloppyOptions {
  /** TCP (`sloppy_tcp`). Default: false. */
  readonly tcp?: boolean
  /** SCTP (`sloppy_sctp`). Default: false. */
  readonly sctp?: boolean
}

/** What live and offline directors share. */
export interface CommonOptions {
  /** Entries that the connection table can hold, 1024 to 67108863. Default: 1048576. */
  readonly connections?: number
  /** Adopt mid-stream connections. Services can differ by their own `sloppy`. */
  readonly sloppy?: SloppyOptions
  /** Global settings. */
  readonly settings?: SettingsPatch
  /** What carries which mark, as `defineMark()`. */
  readonly marks?: readonly MarkDefinition[]
  /** Services to begin with. */
  readonly services?: readonly ServiceOptions[]
}

/**
 * By what clients are spread over several workers: their `address`, which keeps together what a
 * persistent service keeps together, or `address-and-port`, the evenest for few clients. With the
 * latter persistence does not hold: each worker chooses a server for a client by itself.
 */
export type Spread = 'address' | 'address-and-port'

/** What `Director.start()` accepts. */
export interface DirectorOptions extends CommonOptions {
  /** Names of the network interfaces that clients' packets arrive by, 1 to 64. */
  readonly interfaces: readonly string[]
  /** Worker threads, 1 to 64; the kernel splits the traffic among them by flow. Default: 1. */
  readonly workers?: number
  /** What keeps packets on one worker; only of interest with several workers. Default: `address`. */
  readonly spread?: Spread
  /** Frames of 68 KB that may wait for one worker on one interface, 1 to 65536. Default: 960 divided by the workers, fewer where all rings would take over 1/16 of the machine's memory. */
  readonly ringFrames?: number
  /** Memory of each worker for fragments of packets that are not whole yet, 65536 to 1073741824 octets. Default: 4194304. */
  readonly fragmentOctets?: number
  /** Answer ARP and neighbour discovery for the virtual addresses: only for a lone director on a LAN. Default: false. */
  readonly answerNeighbours?: boolean
  /**
   * Let the kernel forward the frames of TCP connections and heavy UDP flows (direct routing only) and count
   * them for the director. Needs the capability CAP_BPF. Default: where that is permitted; `true` refuses to start where it is not, `false` never does it.
   */
  readonly fastPath?: boolean
  /**
   * How long a worker looks on at empty rings before it sleeps, after frames that came in quick
   * succession: 0 to 1000 microseconds; 0 sleeps at once. Default: 50.
   */
  readonly busyPollMicroseconds?: number
  /**
   * Hand frames to drivers past the queueing disciplines (PACKET_QDISC_BYPASS): less work for each,
   * but egress rules (tc) do not see them, and what a busy driver refuses is lost. Default: false.
   */
  readonly bypassQueue?: boolean
  /** Set the interfaces promiscuous. Default: false. */
  readonly promiscuous?: boolean
  /** Path of a control socket to open, with mode 0600, for as long as the director runs. Default: none. */
  readonly control?: string
  /** Gives up starting when aborted; what was started is closed first. */
  readonly signal?: AbortSignal
  /** Takes messages. Default: none are made. */
  readonly logger?: Logger
}

const INTERFACE_NAME_LENGTH_MAX = 127

/** An AbortSignal. */
export const abortSignal: Check<AbortSignal> = (value, path, problems) => {
  if (value instanceof AbortSignal) return value
  return problems.add('ERR_DIRECTOR_INVALID_OPTIONS', path, value, `${show(value)} is not an AbortSignal`)
}

const logger: Check<Logger> = (value, path, problems) => {
  const methods = ['debug', 'info', 'warn', 'error']
  const isObject = typeof value === 'object' && value !== null
  if (isObject && methods.every((name) => typeof Reflect.get(value, name) === 'function'))
    return value as Logger
  const message = `${show(value)} is not an object with the methods ${methods.join(', ')}`
  return problems.add('ERR_DIRECTOR_INVALID_OPTIONS', path, value, message)
}

/** The fields that live and offline directors share. */
export const commonFields: Fields<CommonOptions> = {
  connections: integer(1024, 67_108_863),
  sloppy: object<SloppyOptions>({ tcp: flag, sctp: flag }, []),
  settings,
  marks: arrayOf(object<MarkDefinition>({ mark, matches: markMatches }, ['mark', 'matches'])),
  services: arrayOf(serviceOptions) as Check<readonly ServiceOptions[]>,
}

/** The fields of a live director's options. */
export const directorFields: Fields<DirectorOptions> = {
  ...commonFields,
  interfaces: arrayOf(text(1, INTERFACE_NAME_LENGTH_MAX), 1, 64),
  workers: integer(1, 64),
  spread: oneOf('address', 'address-and-port'),
  ringFrames: integer(1, 65_536),
  fragmentOctets: integer(65_536, 1_073_741_824),
  answerNeighbours: flag,
  fastPath: flag,
  busyPollMicroseconds: integer(0, 1000),
  bypassQueue: flag,
  promiscuous: flag,
  control: text(1, 4096),
  signal: abortSignal,
  logger,
}

/** The options of a live director. */
export const directorOptions: Check<DirectorOptions> = object<DirectorOptions>(directorFields, ['interfaces'])

/** Commands of one call, each with the path of the option that it came from. */
export interface Batch {
  /** The commands. */
  readonly commands: Command[]
  /** For each command, where its fields stand in the caller's options. */
  readonly paths: string[]
}

/** Adds the commands that make one service with its servers. */
export function pushService(batch: Batch, options: ServiceWithServers, path: string): void {
  const { servers = [], ...service } = options
  batch.commands.push({ type: 'add-service', service })
  batch.paths.push(path)
  const identity = identityOf(service)
  for (const [index, server] of servers.entries()) {
    batch.commands.push({ type: 'add-server', service: identity, server })
    batch.paths.push(at(at(path, 'servers'), index))
  }
}

/** The commands that bring a new director to what its options say. */
export function initialBatch(options: CommonOptions): Batch {
  const batch: Batch = { commands: [], paths: [] }
  const { tcp, sctp } = options.sloppy ?? {}
  const sloppy = {
    ...(tcp === undefined ? {} : { sloppyTcp: tcp }),
    ...(sctp === undefined ? {} : { sloppySctp: sctp }),
  }
  const merged: SettingsPatch = { ...options.settings, ...sloppy }
  if (Object.keys(merged).length > 0) {
    batch.commands.push({ type: 'settings', settings: merged })
    batch.paths.push('settings')
  }
  for (const [index, { mark, matches }] of (options.marks ?? []).entries()) {
    batch.commands.push({ type: 'define-mark', mark, matches })
    batch.paths.push(`marks[${index}]`)
  }
  for (const [index, service] of (options.services ?? []).entries()) {
    pushService(batch, service, `services[${index}]`)
  }
  return batch
}

/** Tells when `sloppy` and `settings` say opposite things. */
export function checkSloppy(options: CommonOptions | undefined, problems: Problems): void {
  const pairs = [
    ['tcp', options?.sloppy?.tcp, options?.settings?.sloppyTcp],
    ['sctp', options?.sloppy?.sctp, options?.settings?.sloppySctp],
  ] as const
  for (const [name, short, long] of pairs) {
    if (short === undefined || long === undefined || short === long) continue
    const setting = name === 'tcp' ? 'sloppyTcp' : 'sloppySctp'
    const message = `${short} contradicts settings.${setting}; give one of them`
    problems.add('ERR_DIRECTOR_INVALID_COMBINATION', `sloppy.${name}`, short, message)
  }
}
