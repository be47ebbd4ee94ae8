import type { Check } from './check.js'
import { show } from './problems.js'

const LONGEST = 128

/**
 * Length of a prefix. How long it may be is its address's, which the core judges and tells; what no
 * family has is told here, with the ranges of both.
 */
export function prefixLength(least: number): Check<number> {
  return (value, path, problems) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= LONGEST)
      return value
    const ranges = `${least} to 32 for IPv4, ${least} to 128 for IPv6`
    const message = `${show(value)} is not a whole number from ${ranges}`
    const code = typeof value === 'number' ? 'ERR_DIRECTOR_OUT_OF_RANGE' : 'ERR_DIRECTOR_INVALID_OPTIONS'
    return problems.add(code, path, value, message)
  }
}
