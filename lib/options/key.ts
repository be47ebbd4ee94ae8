import type {
  AddressServiceKey,
  MarkServiceKey,
  Protocol,
  RangeServiceKey,
  ServerKey,
  ServiceKey,
} from '../command.js'
import { address, arrayOf, checked, integer, object, oneOf } from './check.js'
import type { Check, Fields } from './check.js'
import { prefixLength } from './prefix.js'
import { Problems } from './problems.js'

/** A transport protocol. */
export const protocol: Check<Protocol> = oneOf('tcp', 'udp', 'sctp')
/** A port of a transport protocol. */
export const port: Check<number> = integer(0, 65_535)
/** A range of ports. */
export const ports: Check<readonly [number, number]> = arrayOf(port, 2, 2) as Check<unknown> as Check<
  readonly [number, number]
>
/** A mark; 0 means "no mark". */
export const mark: Check<number> = integer(1, 4_294_967_295)

/** The fields of a service by address. */
export const addressKeyFields: Fields<AddressServiceKey> = { protocol, address, port }
/** The fields of a service on a range. */
export const rangeKeyFields: Fields<RangeServiceKey> = {
  protocol,
  address,
  prefixLength: prefixLength(1),
  ports,
}
/** The fields of a service by mark. */
export const markKeyFields: Fields<MarkServiceKey> = { mark, family: oneOf('ipv4', 'ipv6') }

/** Which kind of service a value means: one by mark, on a range, or by address and port. */
export function kindOfKey(value: unknown): 'mark' | 'range' | 'address' {
  if (typeof value !== 'object' || value === null) return 'address'
  if ('mark' in value) return 'mark'
  return 'ports' in value ? 'range' : 'address'
}

const addressKey = object<AddressServiceKey>(addressKeyFields, ['protocol', 'address', 'port'])
const rangeKey = object<RangeServiceKey>(rangeKeyFields, ['protocol', 'address', 'ports'])
const markKey = object<MarkServiceKey>(markKeyFields, ['mark', 'family'])
const keys = { address: addressKey, range: rangeKey, mark: markKey }

/** The identity of a virtual service. */
export const serviceKey: Check<ServiceKey> = (value, path, problems) =>
  keys[kindOfKey(value)](value, path, problems)

/** A service that may be left out, as the core is told of it. */
export function keyOrNull(service: ServiceKey | undefined): ServiceKey | null {
  return service === undefined ? null : checked(serviceKey, service, new Problems(), 'service')
}

/** The fields of a real server's identity. */
export const serverKeyFields: Fields<ServerKey> = { address, port }

/** The identity of a real server. */
export const serverKey: Check<ServerKey> = object<ServerKey>(serverKeyFields, ['address'])
