import type { FrameMeta, HopOptions } from '../verdict.js'
import { address, arrayOf, flag, integer, object, oneOf } from './check.js'
import type { Check } from './check.js'
import type { CommonOptions } from './start.js'
import { commonFields } from './start.js'
import { show } from './problems.js'

/** What `Director.offline()` accepts. */
export interface OfflineOptions extends CommonOptions {
  /** Seed of the table's hash, 0 to 9007199254740991; places no connection differently. Default: 0. */
  readonly seed?: number
}

/** The options of an offline director. */
export const offlineOptions: Check<OfflineOptions> = object<OfflineOptions>(
  { ...commonFields, seed: integer(0, Number.MAX_SAFE_INTEGER) },
  [],
)

/** A frame's octets; more than any interface carries is refused. */
export const frame: Check<Uint8Array> = (value, path, problems) => {
  if (value instanceof Uint8Array) return value
  return problems.add('ERR_DIRECTOR_INVALID_OPTIONS', path, value, `${show(value)} is not a Uint8Array`)
}

/** Several of them. */
export const frames: Check<Uint8Array[]> = arrayOf(frame)

const segmentation = object<NonNullable<FrameMeta['segmentation']>>(
  { segmentSize: integer(1, 65_535), headerLength: integer(1, 65_535) },
  ['segmentSize', 'headerLength'],
)

/** What is known of a frame beside its octets. */
export const frameMeta: Check<FrameMeta> = object<FrameMeta>(
  {
    interface: integer(1, 2_147_483_647),
    vlan: integer(0, 65_535),
    checksumPartial: flag,
    segmentation,
  },
  [],
)

const mac: Check<string> = (value, path, problems) => {
  if (typeof value === 'string' && /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i.test(value)) return value
  const message = `${show(value)} is not a hardware address, such as "02:00:00:00:00:01"`
  return problems.add('ERR_DIRECTOR_INVALID_ADDRESS', path, value, message)
}

const nextHop = object<Exclude<HopOptions, string>>(
  {
    interface: integer(1, 2_147_483_647),
    mtu: integer(68, 2_147_483_647),
    source: mac,
    destination: mac,
    local: address,
  },
  [],
)

const state = oneOf('unreachable', 'resolving', 'local')

/** What is known of the way to a server or back to a client. */
export const hop: Check<HopOptions> = (value, path, problems) =>
  typeof value === 'string' ? state(value, path, problems) : nextHop(value, path, problems)
