import type { ConnectionFilter } from '../connection.js'
import type { Flow } from '../explanation.js'
import { address, flag, integer, object, text } from './check.js'
import type { Check } from './check.js'
import { port, protocol, serviceKey } from './key.js'

/** Which connections to list. */
export const connectionFilter: Check<ConnectionFilter> = object<ConnectionFilter>(
  { service: serviceKey, server: address, client: address, state: text(1, 64), template: flag },
  [],
)

/** A flow to explain. */
export const flow: Check<Flow> = object<Flow>(
  {
    protocol,
    clientAddress: address,
    clientPort: port,
    virtualAddress: address,
    virtualPort: port,
    interface: integer(1, 2_147_483_647),
    vlan: integer(0, 4094),
  },
  ['protocol', 'clientAddress', 'clientPort', 'virtualAddress', 'virtualPort'],
)
