import type { AddressServiceKey, MarkServiceKey, Protocol, ServerKey, ServiceKey } from '../command.js'
import { address, integer, object, oneOf } from './check.js'
import type { Check, Fields } from './check.js'

/** A transport protocol. */
export const protocol: Check<Protocol> = oneOf('tcp', 'udp', 'sctp')
/** A port of a transport protocol. */
export const port: Check<number> = integer(0, 65_535)
/** A mark; 0 means "no mark". */
export const mark: Check<number> = integer(1, 4_294_967_295)

/** The fields of a service by address. */
export const addressKeyFields: Fields<AddressServiceKey> = { protocol, address, port }
/** The fields of a service by mark. */
export const markKeyFields: Fields<MarkServiceKey> = { mark, family: oneOf('ipv4', 'ipv6') }

/** Whether a value means a service by mark; everything else is taken for one by address. */
export function saysMark(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'mark' in value
}

const addressKey = object<AddressServiceKey>(addressKeyFields, ['protocol', 'address', 'port'])
const markKey = object<MarkServiceKey>(markKeyFields, ['mark', 'family'])

/** The identity of a virtual service. */
export const serviceKey: Check<ServiceKey> = (value, path, problems) =>
  saysMark(value) ? markKey(value, path, problems) : addressKey(value, path, problems)

/** The fields of a real server's identity. */
export const serverKeyFields: Fields<ServerKey> = { address, port: integer(1, 65_535) }

/** The identity of a real server. */
export const serverKey: Check<ServerKey> = object<ServerKey>(serverKeyFields, ['address'])
