/** Stable names of everything that the package throws or rejects with. */
export type DirectorErrorCode =
  | 'ERR_DIRECTOR_ABORTED'
  | 'ERR_DIRECTOR_ADDRESS_CONFLICT'
  | 'ERR_DIRECTOR_CLOSED'
  | 'ERR_DIRECTOR_CONTROL_BUSY'
  | 'ERR_DIRECTOR_CONTROL_DENIED'
  | 'ERR_DIRECTOR_CONTROL_IN_USE'
  | 'ERR_DIRECTOR_CONTROL_METHOD'
  | 'ERR_DIRECTOR_CONTROL_REQUEST'
  | 'ERR_DIRECTOR_CONTROL_SOCKET'
  | 'ERR_DIRECTOR_CONTROL_VERSION'
  | 'ERR_DIRECTOR_FAMILY_MISMATCH'
  | 'ERR_DIRECTOR_FAST_PATH'
  | 'ERR_DIRECTOR_GUARD_FAILED'
  | 'ERR_DIRECTOR_INTERFACE_NOT_FOUND'
  | 'ERR_DIRECTOR_INTERFACE_UNSUITABLE'
  | 'ERR_DIRECTOR_INTERNAL'
  | 'ERR_DIRECTOR_INVALID_ADDRESS'
  | 'ERR_DIRECTOR_INVALID_COMBINATION'
  | 'ERR_DIRECTOR_INVALID_OPTIONS'
  | 'ERR_DIRECTOR_LISTENER_FAILED'
  | 'ERR_DIRECTOR_MISSING_CAPABILITY'
  | 'ERR_DIRECTOR_NATIVE_NOT_FOUND'
  | 'ERR_DIRECTOR_NEIGHBOUR'
  | 'ERR_DIRECTOR_OUT_OF_RANGE'
  | 'ERR_DIRECTOR_SERVER_EXISTS'
  | 'ERR_DIRECTOR_SERVER_NOT_FOUND'
  | 'ERR_DIRECTOR_SERVICE_EXISTS'
  | 'ERR_DIRECTOR_SERVICE_IN_USE'
  | 'ERR_DIRECTOR_SERVICE_NOT_FOUND'
  | 'ERR_DIRECTOR_SOCKET'
  | 'ERR_DIRECTOR_UNSUPPORTED_PLATFORM'
  | 'ERR_DIRECTOR_WORKER_FAULT'

/** One problem of the options or commands that were refused. */
export interface Issue {
  /** Kind of the problem. */
  readonly code: DirectorErrorCode
  /** Which field, as the caller spelled it: `services[0].servers[1].weight`. */
  readonly field: string
  /** The refused value. */
  readonly value: unknown
  /** What is wrong and what is allowed. */
  readonly message: string
}

const BRAND: unique symbol = Symbol.for('l4-director.error')

/** What an error is made with, beside code and message. */
export interface DirectorErrorOptions {
  /** The problems, when options or commands were refused. */
  readonly issues?: readonly Issue[]
  /** The error behind this one. */
  readonly cause?: unknown
}

/** Every error of the package: `code` says which, the message what to do. */
export class DirectorError extends Error {
  /** Stable name of the error. */
  readonly code: DirectorErrorCode
  /** All problems at once, when options or commands were refused; else empty. */
  readonly issues: readonly Issue[]

  /** Makes an error. */
  constructor(code: DirectorErrorCode, message: string, options: DirectorErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : {})
    this.code = code
    this.issues = options.issues ?? []
    Object.defineProperty(this, BRAND, { value: true })
  }
}
Object.defineProperty(DirectorError.prototype, 'name', { value: 'DirectorError' })

/**
 * Whether a value is an error of this package, also when it comes from another copy of it.
 */
export function isDirectorError(value: unknown): value is DirectorError {
  return value instanceof Error && BRAND in value
}

/** One error for all problems: of their code when they share it, else of `ERR_DIRECTOR_INVALID_OPTIONS`. */
export function errorOfIssues(issues: readonly Issue[]): DirectorError {
  const codes = new Set(issues.map((issue) => issue.code))
  const [only] = codes
  const code = codes.size === 1 && only ? only : 'ERR_DIRECTOR_INVALID_OPTIONS'
  const lines = issues.map(lineOf)
  const message = lines.length === 1 ? lines.join('') : `${lines.length} problems:\n  ${lines.join('\n  ')}`
  return new DirectorError(code, message, { issues })
}

/** The error of a call on a director that was closed. */
export function closedError(): DirectorError {
  return new DirectorError('ERR_DIRECTOR_CLOSED', 'the director is closed; start a new one')
}

/** The error of a wait that its `AbortSignal` ended. */
export function abortedError(what: string, signal: AbortSignal): DirectorError {
  return new DirectorError('ERR_DIRECTOR_ABORTED', `${what} was aborted`, { cause: signal.reason })
}

/** Field and message, without saying the field's own name twice. */
function lineOf({ field, message }: Issue): string {
  const [, parent = '', name = ''] = /^(.*?)\.?([^.]*)$/.exec(field) ?? []
  const prefix = message.startsWith(name) ? parent : field
  return prefix === '' ? message : `${prefix}: ${message}`
}
