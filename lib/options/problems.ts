import { errorOfIssues } from '../errors.js'
import type { DirectorErrorCode, Issue } from '../errors.js'

/** Gathers what is wrong, so that all of it is told at once. */
export class Problems {
  readonly #issues: Issue[] = []

  /** What was gathered. */
  get issues(): readonly Issue[] {
    return this.#issues
  }

  /** Adds a problem; `undefined` is the answer of the check that found it. */
  add(code: DirectorErrorCode, field: string, value: unknown, message: string): undefined {
    this.#issues.push({ code, field, value, message })
    return undefined
  }

  /** Throws one error for everything that was gathered. */
  throwIfAny(): void {
    if (this.#issues.length > 0) throw errorOfIssues(this.#issues)
  }
}

/** A value as a message shows it: short, and of its own spelling. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 64 ? `${value.slice(0, 64)}…` : value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object' && value !== null) return 'an object'
  return String(value)
}

/** Path of a field within a field. */
export function at(path: string, name: string | number): string {
  if (typeof name === 'number') return `${path}[${name}]`
  return path === '' ? name : `${path}.${name}`
}
