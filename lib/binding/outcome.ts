import { DirectorError, errorOfIssues } from '../errors.js'
import type { DirectorErrorCode, Issue } from '../errors.js'
import { at } from '../options/problems.js'
import { valueOf } from './text.js'
import type { JsonText } from './text.js'

/** A problem of one command, as the core tells it. */
export interface CoreIssue {
  /** Kind, in kebab-case. */
  readonly code: string
  /** Which command of the batch, from 0. */
  readonly command: number
  /** Field of the command. */
  readonly field: string
  /** The refused value, as text. */
  readonly value: string
  /** What is wrong and what is allowed. */
  readonly message: string
}

/** A refusal, as the core tells it. */
export interface CoreError {
  /** Kind, in kebab-case. */
  readonly code: string
  /** What failed and what to do. */
  readonly message: string
  /** The problems, when commands were refused. */
  readonly issues?: readonly CoreIssue[]
}

/** What a call of the addon answers: plain data, never an exception for what can be foreseen. */
export type Outcome<T> = { readonly value: T } | { readonly error: CoreError }

/** An outcome as it crosses. */
export type OutcomeText<T> = JsonText<Outcome<T>>

/** `service-exists` → `ERR_DIRECTOR_SERVICE_EXISTS`. */
export function errorCode(name: string): DirectorErrorCode {
  return `ERR_DIRECTOR_${name.toUpperCase().replaceAll('-', '_')}` as DirectorErrorCode
}

/** The error for a refusal; `paths` says where each command's fields stand in the caller's options. */
export function coreError(
  { code, message, issues }: CoreError,
  paths: readonly string[] = [],
): DirectorError {
  if (issues === undefined || issues.length === 0) return new DirectorError(errorCode(code), message)
  const translated = issues.map((issue): Issue => {
    const path = paths[issue.command] ?? ''
    const { value, message } = issue
    return { code: errorCode(issue.code), field: fieldOf(issue.field, path), value, message }
  })
  return errorOfIssues(translated)
}

/** The core calls the whole object of a command `service` or `server`; the caller's path is that object. */
function fieldOf(field: string, path: string): string {
  const isWhole = field === '' || field === 'service' || field === 'server'
  return isWhole && path !== '' ? path : at(path, field)
}

/** The value, or the error thrown. */
export function unwrap<T>(text: OutcomeText<T>, paths?: readonly string[]): T {
  const outcome = valueOf(text)
  if ('error' in outcome) throw coreError(outcome.error, paths)
  return outcome.value
}
