import { isIP, isIPv4, isIPv6 } from 'node:net'

type Schema = Readonly<Record<string, unknown>>

const KNOWN = new Set([
  '$schema',
  '$id',
  '$defs',
  '$ref',
  'title',
  'description',
  'type',
  'enum',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'items',
  'properties',
  'required',
  'additionalProperties',
  'anyOf',
  'format',
  'if',
  'then',
  'else',
])

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const kinds: Readonly<Record<string, (value: unknown) => boolean>> = {
  object: isObject,
  array: Array.isArray,
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  integer: Number.isInteger,
}

/** As much of JSON Schema (draft 2020-12) as the project's schema uses; any other word is an error. */
export function accepts(root: Schema, value: unknown, schema: Schema = root): boolean {
  const stranger = Object.keys(schema).find((word) => !KNOWN.has(word))
  if (stranger !== undefined) throw new Error(`the schema uses ${stranger}, which this test does not know`)
  const within = (part: unknown, inner: unknown = value): boolean => accepts(root, inner, part as Schema)
  const { $ref, type, if: condition, anyOf } = schema
  if (typeof $ref === 'string') return within((root['$defs'] as Schema)[$ref.replace('#/$defs/', '')])
  if (typeof type === 'string' && kinds[type]?.(value) !== true) return false
  if (Array.isArray(schema['enum']) && !schema['enum'].includes(value)) return false
  if (Array.isArray(anyOf) && !anyOf.some((part) => within(part))) return false
  if (schema['format'] === 'ipv4' && !isIPv4(String(value))) return false
  if (
    schema['format'] === 'ipv6' &&
    !(isIPv6(String(value)) && isIP(String(value)) && !String(value).includes('%'))
  )
    return false
  if (condition !== undefined && !within(within(condition) ? schema['then'] : schema['else'])) return false
  return bounded(schema, value) && parts(schema, value, within)
}

function bounded(schema: Schema, value: unknown): boolean {
  const between = (size: number, least: unknown, most: unknown): boolean =>
    size >= Number(least ?? -Infinity) && size <= Number(most ?? Infinity)
  if (typeof value === 'number') return between(value, schema['minimum'], schema['maximum'])
  if (typeof value === 'string') return between(value.length, schema['minLength'], schema['maxLength'])
  return !Array.isArray(value) || between(value.length, schema['minItems'], schema['maxItems'])
}

function parts(schema: Schema, value: unknown, within: (part: unknown, inner: unknown) => boolean): boolean {
  if (Array.isArray(value))
    return schema['items'] === undefined || value.every((item) => within(schema['items'], item))
  if (!isObject(value)) return true
  const properties = (schema['properties'] ?? {}) as Schema
  const required = (schema['required'] ?? []) as readonly string[]
  if (required.some((name) => !Object.hasOwn(value, name))) return false
  return Object.entries(value).every(([name, field]) =>
    Object.hasOwn(properties, name)
      ? within(properties[name], field)
      : schema['additionalProperties'] !== false,
  )
}
