import type { MarkMatch } from '../command.js'
import { address, arrayOf, integer, object } from './check.js'
import type { Check } from './check.js'
import { ports, protocol } from './key.js'
import { prefixLength } from './prefix.js'

/** What carries a mark. */
export const markMatches: Check<MarkMatch[]> = arrayOf(
  object<MarkMatch>(
    {
      protocol,
      address,
      prefixLength: prefixLength(0),
      ports,
      source: address,
      sourcePrefixLength: prefixLength(0),
      sourcePorts: ports,
      interface: integer(1, 2_147_483_647),
      vlan: integer(0, 4094),
    },
    ['address'],
  ),
)
