// Child processes of the scripts: run, and say readably what went wrong.
import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { watchOutput } from '../bin/output.js'

/** The package's folder. */
export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')

/** A step that failed; its message is all that needs to be shown. */
export class StepError extends Error {}

/** Runs a command with its output shown; throws a StepError when it fails. */
export function run(command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options })
  if (error) throw new StepError(`${command} could not be started: ${error.message}`)
  if (status !== 0)
    throw new StepError(`${[command, ...args].join(' ')} failed (${signal ?? `status ${status}`})`)
}

/** Runs a command quietly; its output is shown only when it fails. */
export function runQuietly(command, args, options = {}) {
  const child = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28, ...options })
  if (child.status === 0) return
  process.stderr.write(`${child.stdout ?? ''}${child.stderr ?? ''}`)
  const cause = child.error?.message ?? child.signal ?? `status ${child.status}`
  throw new StepError(`${[command, ...args].join(' ')} failed (${cause})`)
}

/** Runs a command with its output shown as it comes; answers with its status and its whole output. */
export function tee(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['inherit', 'pipe', 'pipe'], ...options })
    let output = ''
    const show = (stream) => (chunk) => {
      output += chunk
      stream.write(chunk)
    }
    child.stdout.on('data', show(process.stdout))
    child.stderr.on('data', show(process.stderr))
    child.on('error', (error) => resolve({ status: 127, output: error.message }))
    child.on('close', (status, signal) => resolve({ status: status ?? 1, signal, output }))
  })
}

/** Runs a script's main function: a StepError becomes one line and status 1. */
export async function main(body) {
  watchOutput()
  try {
    process.exitCode = (await body()) ?? 0
  } catch (error) {
    if (!(error instanceof StepError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}
