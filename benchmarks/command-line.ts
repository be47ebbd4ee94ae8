// What a benchmark was asked for, and its end.

import { parseArgs, type ParseArgsConfig } from 'node:util'

type Options = NonNullable<ParseArgsConfig['options']>

/** An argument that is not allowed: told in a line, with the usage, not with a stack. */
class ArgumentError extends Error {}

/** The names of a list divided by commas; all when none was given. */
export function chosen<Name extends string>(
  option: string,
  text: string | undefined,
  all: readonly Name[],
): Name[] {
  if (text === undefined) return [...all]
  const unknown = text.split(',').filter((name) => !all.includes(name as Name))
  if (unknown.length === 0) return text.split(',') as Name[]
  throw new ArgumentError(`--${option}: there is no ${unknown.join(', ')}; there are ${all.join(', ')}`)
}

/** A number above 0. */
export function positive(option: string, text: string): number {
  const value = Number(text)
  if (value > 0 && Number.isFinite(value)) return value
  throw new ArgumentError(`--${option} is ${text}; a number above 0 is allowed`)
}

function isAskedForHelp(): boolean {
  return process.argv.slice(2).some((word) => word === '--help' || word === '-h')
}

function isArgumentError(error: unknown): error is Error {
  if (error instanceof ArgumentError) return true
  return error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_')
}

/**
 * Runs a benchmark; `true` means that it ended well. `--help` prints its usage; arguments it does not
 * know end it with status 2.
 */
export async function command<const Accepted extends Options>(
  usage: string,
  options: Accepted,
  run: (values: ReturnType<typeof parseArgs<{ options: Accepted }>>['values']) => Promise<boolean>,
): Promise<void> {
  if (isAskedForHelp()) {
    process.stdout.write(`${usage}\n`)
    return
  }
  try {
    process.exitCode = (await run(parseArgs({ options }).values)) ? 0 : 1
  } catch (error) {
    if (!isArgumentError(error)) throw error
    process.stderr.write(`${error.message}\n\n${usage}\n`)
    process.exitCode = 2
  }
}
