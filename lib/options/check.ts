import { isIP } from 'node:net'
import type { Problems } from './problems.js'
import { at, show } from './problems.js'

/** A check answers with the accepted value, or tells a problem and answers `undefined`. */
export type Check<T> = (value: unknown, path: string, problems: Problems) => T | undefined

/** The checks of an object's fields. */
export type Fields<T> = { readonly [K in keyof T]-?: Check<Exclude<T[K], undefined>> }

const INVALID = 'ERR_DIRECTOR_INVALID_OPTIONS'

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number): Check<number> {
  return (value, path, problems) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
    const code = typeof value === 'number' ? 'ERR_DIRECTOR_OUT_OF_RANGE' : INVALID
    return problems.add(code, path, value, `${show(value)} is not a whole number from ${min} to ${max}`)
  }
}

/** `true` or `false`. */
export const flag: Check<boolean> = (value, path, problems) => {
  if (typeof value === 'boolean') return value
  return problems.add(INVALID, path, value, `${show(value)} is not true or false`)
}

/** Text of `min` to `max` characters. */
export function text(min: number, max: number): Check<string> {
  return (value, path, problems) => {
    if (typeof value === 'string' && value.length >= min && value.length <= max) return value
    return problems.add(INVALID, path, value, `${show(value)} is not a text of ${min} to ${max} characters`)
  }
}

/** One of some texts. */
export function oneOf<T extends string>(...allowed: readonly T[]): Check<T> {
  return (value, path, problems) => {
    const found = allowed.find((candidate) => candidate === value)
    if (found !== undefined) return found
    const choice = allowed.map((candidate) => JSON.stringify(candidate)).join(', ')
    return problems.add(INVALID, path, value, `${show(value)} is not one of ${choice}`)
  }
}

/** An IPv4 or IPv6 address as text, without a zone. */
export const address: Check<string> = (value, path, problems) => {
  if (typeof value === 'string' && isIP(value) !== 0 && !value.includes('%')) return value
  const message = `${show(value)} is not an IPv4 or IPv6 address, such as "192.0.2.1" or "2001:db8::1"`
  return problems.add('ERR_DIRECTOR_INVALID_ADDRESS', path, value, message)
}

/** `null`, or what passes a check. */
export function orNull<T>(check: Check<T>): Check<T | null> {
  return (value, path, problems) => (value === null ? null : check(value, path, problems))
}

/** An array of `min` to `max` elements that each pass a check. */
export function arrayOf<T>(element: Check<T>, min = 0, max = 1_000_000): Check<T[]> {
  return (value, path, problems) => {
    if (!Array.isArray(value) || value.length < min || value.length > max) {
      const size = max === 1_000_000 ? `at least ${min}` : `${min} to ${max}`
      const what = Array.isArray(value) ? `an array of ${value.length}` : show(value)
      return problems.add(INVALID, path, value, `${what} is not an array of ${size} elements`)
    }
    const checked = Array.from(value, (item, index) => element(item, at(path, index), problems))
    return checked.every((item) => item !== undefined) ? checked : undefined
  }
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unknownFields(value: object, fields: object, path: string, problems: Problems): void {
  for (const name of Object.keys(value)) {
    if (Object.hasOwn(fields, name)) continue
    const known = Object.keys(fields).join(', ')
    problems.add(INVALID, at(path, name), Reflect.get(value, name), `unknown field; known are: ${known}`)
  }
}

/**
 * An object with exactly these fields. A field that is absent or `undefined` stays out of the
 * answer; if it is among `required`, that is a problem.
 */
export function object<T extends object>(
  fields: Fields<T>,
  required: readonly (keyof T & string)[],
): Check<T> {
  return (value, path, problems) => {
    if (!isPlain(value)) return problems.add(INVALID, path, value, `${show(value)} is not an object`)
    const before = problems.issues.length
    unknownFields(value, fields, path, problems)
    const checked: Record<string, unknown> = {}
    for (const [name, check] of Object.entries<Check<unknown>>(fields)) {
      const given = value[name]
      if (given !== undefined) checked[name] = check(given, at(path, name), problems)
      else if ((required as readonly string[]).includes(name)) {
        problems.add(INVALID, at(path, name), undefined, 'is missing')
      }
    }
    return problems.issues.length === before ? (checked as T) : undefined
  }
}

/** Runs a check on the whole of an argument and throws one error for all its problems. */
export function checked<T>(check: Check<T>, value: unknown, problems: Problems, path = ''): T {
  const result = check(value, path, problems)
  problems.throwIfAny()
  return result as T
}
