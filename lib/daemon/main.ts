import { parseArgs } from 'node:util'
import { isDirectorError } from '../errors.js'
import { fileOf, readConfiguration } from './configuration-file.js'
import type { ConfigurationSource } from './configuration-file.js'
import { asDirectorError, Daemon } from './daemon.js'
import { processLogOutput } from './log-output.js'
import { Log } from './log.js'
import { ServiceManager } from './service-manager.js'

/** Where a configuration is looked for unless somebody says otherwise. */
const DEFAULT_CONFIG = '/etc/l4-director.json'

const options = {
  config: { type: 'string', short: 'c' },
  rules: { type: 'string' },
  interface: { type: 'string', multiple: true },
  control: { type: 'string' },
} as const

/** The configuration that the arguments name; undefined, with a word why, when they are no good. */
export function sourceOf(args: readonly string[]): ConfigurationSource | undefined {
  try {
    const { config, rules, interface: interfaces, control } = parseArgs({ args: [...args], options }).values
    if (rules === undefined) {
      if (interfaces !== undefined || control !== undefined)
        throw new Error('--interface and --control go with --rules; a configuration file names its own')
      return config ?? DEFAULT_CONFIG
    }
    if (config !== undefined)
      throw new Error('--config and --rules exclude each other; a file can name rules')
    if (interfaces === undefined)
      throw new Error('--rules needs --interface NAME, once for each interface that packets arrive by')
    return { rules, interfaces, ...(control === undefined ? {} : { control }) }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return undefined
  }
}

/** `check`: says what is wrong with a configuration. Answers the exit status. */
export async function check(args: readonly string[]): Promise<number> {
  const source = sourceOf(args)
  if (source === undefined) return 2
  try {
    const { configuration } = await readConfiguration(source)
    const { services, version } = configuration
    process.stdout.write(`${fileOf(source)}: ${services.length} services, digest ${version.digest}\n`)
    return 0
  } catch (error) {
    if (!isDirectorError(error)) throw error
    process.stderr.write(`${error.message}\n`)
    return 1
  }
}

/** `run`: a daemon, until it is told to stop. Answers the exit status. */
export async function run(args: readonly string[]): Promise<number> {
  const source = sourceOf(args)
  if (source === undefined) return 2
  const output = processLogOutput()
  const log = new Log((line) => output.write(line))
  const manager = new ServiceManager(process.env, (why) =>
    log.tell('warn', 'service-manager', `the service manager was not told: ${why}`),
  )
  // Signals that come before there is a director wait for it.
  const early: NodeJS.Signals[] = []
  let take = (signal: NodeJS.Signals): void => void early.push(signal)
  for (const name of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.on(name, () => take(name))
  try {
    const daemon = await Daemon.start(source, log, manager)
    take = (signal) => obey(daemon, signal, log)
    for (const signal of early) take(signal)
    await daemon.ended
    await daemon.close()
    const left = await daemon.left()
    if (left) {
      log.failure('left', left)
      return 1
    }
    log.tell('info', 'stopped', 'the director has closed')
    // A director that closes unasked had a fault, which the log has.
    return daemon.stopping ? 0 : 1
  } catch (error) {
    log.failure('not-started', asDirectorError(error))
    return 1
  }
}

function obey(daemon: Daemon, signal: NodeJS.Signals, log: Log): void {
  log.tell('info', 'signal', `${signal} received`)
  if (signal !== 'SIGHUP') {
    // What stays on the host is told once the director has ended.
    daemon.stop().catch(() => undefined)
    return
  }
  daemon.reload().catch((error: unknown) => {
    // A refusal is in the log already; anything else is a defect.
    if (!isDirectorError(error)) log.failure('fault', asDirectorError(error))
  })
}
