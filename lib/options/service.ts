import type {
  MhFlag,
  Persistence,
  PersistenceEngine,
  SchedulerFlag,
  SchedulerName,
  ServiceAttributes,
  ServiceKey,
  ServiceSpec,
  ShFlag,
} from '../command.js'
import { arrayOf, flag, integer, object, oneOf, orNull } from './check.js'
import type { Check, Fields } from './check.js'
import { addressKeyFields, kindOfKey, markKeyFields, rangeKeyFields } from './key.js'
import { prefixLength } from './prefix.js'
import { serverSpec } from './server.js'
import type { ServerOptions } from './server.js'

/** Only `sh` and `mh` have flags, each its own. */
export type SchedulerOptions =
  | { readonly scheduler: 'sh'; readonly flags?: readonly ShFlag[] }
  | { readonly scheduler: 'mh'; readonly flags?: readonly MhFlag[] }
  | { readonly scheduler?: Exclude<SchedulerName, 'sh' | 'mh'>; readonly flags?: readonly [] }

/** What `VirtualService.edit()` accepts: what is absent stays as it is, `null` takes a setting away. */
export interface ServiceEdit {
  /** Scheduler; another one starts without flags. */
  readonly scheduler?: SchedulerName | null
  /** Flags of the scheduler, all of them. */
  readonly flags?: readonly SchedulerFlag[]
  /** Whether mid-stream packets may create connections; `null` for the global setting. */
  readonly sloppy?: boolean | null
  /** Client stickiness; `null` for none. */
  readonly persistence?: Persistence | null
  /** What names a client in place of its address; `null` for the address. */
  readonly persistenceEngine?: PersistenceEngine | null
  /** One-packet scheduling. */
  readonly onePacket?: boolean
}

/** What `addService()` accepts. */
export type ServiceOptions = ServiceKey &
  SchedulerOptions &
  Omit<ServiceAttributes, 'scheduler' | 'flags'> & {
    /** Servers to add at once, in this order; the last one ends up first in the list, as with `ipvsadm`. */
    readonly servers?: readonly ServerOptions[]
  }

/** A service as the core takes it, with its servers beside it. */
export type ServiceWithServers = ServiceSpec & { readonly servers?: readonly ServerOptions[] }

const persistence = object<Persistence>(
  { timeoutSeconds: integer(1, 2_678_400), prefixLength: prefixLength(0) },
  ['timeoutSeconds'],
)

/** Every scheduler; as a record, so that none is missing. */
const schedulers: Readonly<Record<SchedulerName, true>> = {
  rr: true,
  wrr: true,
  lc: true,
  wlc: true,
  lblc: true,
  lblcr: true,
  dh: true,
  sh: true,
  sed: true,
  nq: true,
  mh: true,
  fo: true,
  ovf: true,
  twos: true,
}

const attributes: Fields<ServiceAttributes> = {
  scheduler: oneOf(...(Object.keys(schedulers) as SchedulerName[])),
  flags: arrayOf(
    oneOf('sh-port', 'sh-fallback', 'mh-port', 'mh-fallback', 'flag-1', 'flag-2', 'flag-3'),
    0,
    7,
  ),
  sloppy: flag,
  persistence,
  persistenceEngine: oneOf('sip'),
  onePacket: flag,
}

/** A check of an object that a service's identity is part of. */
function keyed<T extends object>(rest: object): Check<T> {
  const byAddress = { ...addressKeyFields, ...rest } as unknown as Fields<T>
  const onRange = { ...rangeKeyFields, ...rest } as unknown as Fields<T>
  const byMark = { ...markKeyFields, ...rest } as unknown as Fields<T>
  const addressed = object<T>(byAddress, ['protocol', 'address', 'port'] as (keyof T & string)[])
  const ranged = object<T>(onRange, ['protocol', 'address', 'ports'] as (keyof T & string)[])
  const marked = object<T>(byMark, ['mark', 'family'] as (keyof T & string)[])
  const checks = { address: addressed, range: ranged, mark: marked }
  return (value, path, problems) => checks[kindOfKey(value)](value, path, problems)
}

/** A whole virtual service without servers. */
export const serviceSpec: Check<ServiceSpec> = keyed<ServiceSpec>(attributes)

/** A whole virtual service with its servers. */
export const serviceOptions: Check<ServiceWithServers> = keyed<ServiceWithServers>({
  ...attributes,
  servers: arrayOf(serverSpec),
})

/** Changes of a virtual service. */
export const serviceEdit: Check<ServiceEdit> = object<ServiceEdit>(
  {
    ...attributes,
    scheduler: orNull(attributes.scheduler),
    sloppy: orNull(attributes.sloppy),
    persistence: orNull(attributes.persistence),
    persistenceEngine: orNull(attributes.persistenceEngine),
  },
  [],
)
