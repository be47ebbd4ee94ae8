import { at } from '../options/problems.js'
import { DirectorError } from '../errors.js'
import type { DirectorErrorCode, Issue } from '../errors.js'

/** The version of the protocol that this package speaks. */
export const PROTOCOL_VERSION: number = 1

/** Where a control socket is unless somebody says otherwise. */
export const DEFAULT_CONTROL_PATH: string = '/run/l4-director/control.sock'

/** Octets of a request's line at most. */
export const REQUEST_OCTETS_MAX: number = 1 << 20

/** What a client asks. */
export interface ControlRequest {
  /** Version of the protocol. */
  readonly version: number
  /** Number that the answer carries, 0 to 9007199254740991. */
  readonly id: number
  /** What to do. */
  readonly method: string
  /** Arguments of the method. */
  readonly params?: unknown
}

/** An error as it crosses the socket. */
export interface ControlFault {
  /** Stable name. */
  readonly code: DirectorErrorCode
  /** What is wrong and what to do. */
  readonly message: string
  /** The problems, when parameters or commands were refused. */
  readonly issues?: readonly Issue[]
}

/** What a server sends. */
export type ControlMessage =
  | { readonly id: number | null; readonly result: unknown }
  | { readonly id: number | null; readonly error: ControlFault }
  | { readonly subscription: number; readonly event: string; readonly data: unknown }

/** The line that answers a request. */
export function resultLine(id: number, result: unknown): string {
  return `${JSON.stringify({ id, result: result ?? {} })}\n`
}

/** The line that refuses a request; `id` is null when it could not be read. */
export function errorLine(id: number | null, error: DirectorError): string {
  const { code, message, issues } = error
  const fault: ControlFault = { code, message, ...(issues.length > 0 && { issues }) }
  return `${JSON.stringify({ id, error: fault })}\n`
}

/** The error that a fault stands for. */
export function faultError(fault: ControlFault): DirectorError {
  return new DirectorError(fault.code, fault.message, { issues: fault.issues ?? [] })
}

/** A refusal of a request as such. */
export function requestError(message: string): DirectorError {
  return new DirectorError('ERR_DIRECTOR_CONTROL_REQUEST', message)
}

/** Reads the number of a request, however broken the rest is. */
export function requestId(value: unknown): number | null {
  const id: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'id') : undefined
  return typeof id === 'number' && Number.isSafeInteger(id) && id >= 0 ? id : null
}

const FIELDS = ['version', 'id', 'method', 'params']

/**
 * Reads a request.
 *
 * @throws DirectorError `ERR_DIRECTOR_CONTROL_REQUEST`, `ERR_DIRECTOR_CONTROL_VERSION`
 */
export function readRequest(value: unknown): ControlRequest {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw requestError('a request is a JSON object, such as {"version":1,"id":1,"method":"ping"}')
  const { version, method, params } = value as Partial<ControlRequest>
  if (version !== PROTOCOL_VERSION) throw versionError(version)
  const id = requestId(value)
  if (id === null) throw requestError('id: is not a whole number from 0 to 9007199254740991')
  if (typeof method !== 'string') throw requestError('method: is not a text')
  const unknown = Object.keys(value).find((name) => !FIELDS.includes(name))
  if (unknown !== undefined)
    throw requestError(`${at('', unknown)}: unknown field; known are: ${FIELDS.join(', ')}`)
  return { version, id, method, params: params ?? {} }
}

function versionError(version: unknown): DirectorError {
  const shown = typeof version === 'number' ? String(version) : 'no number'
  const message = `version: ${shown} is not served; served is ${PROTOCOL_VERSION}`
  return new DirectorError('ERR_DIRECTOR_CONTROL_VERSION', message)
}
