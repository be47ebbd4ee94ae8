import type { ServerKey, ServerSpec, Tunnel } from '../command.js'
import { integer, object, oneOf } from './check.js'
import type { Check, Fields } from './check.js'
import { serverKeyFields } from './key.js'

/** What `addServer()` accepts. */
export type ServerOptions = ServerSpec

/** What `RealServer.edit()` accepts: what is absent stays as it is. */
export type ServerEdit = Omit<ServerSpec, keyof ServerKey>

/** A weight of a real server. */
export const weight: Check<number> = integer(0, 2_147_483_647)

const threshold = integer(0, 2_147_483_647)

const tunnel = object<Tunnel>(
  {
    type: oneOf('ipip', 'gue', 'gre'),
    port: integer(1, 65_535),
    checksum: oneOf('nocsum', 'csum', 'remcsum'),
  },
  [],
)

const editFields: Fields<ServerEdit> = {
  weight,
  forwarding: oneOf('direct-routing', 'masquerading', 'tunnelling'),
  tunnel,
  upperThreshold: threshold,
  lowerThreshold: threshold,
}

/** A whole real server. */
export const serverSpec: Check<ServerSpec> = object<ServerSpec>({ ...serverKeyFields, ...editFields }, [
  'address',
])

/** Changes of a real server. */
export const serverEdit: Check<ServerEdit> = object<ServerEdit>(editFields, [])
