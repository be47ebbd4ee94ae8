import { parseArgs } from 'node:util'
import { isDirectorError } from '../errors.js'
import { readConfiguration } from './configuration-file.js'
import { asDirectorError, Daemon } from './daemon.js'
import { Log } from './log.js'
import { ServiceManager } from './service-manager.js'

/** Where a configuration is looked for unless somebody says otherwise. */
const DEFAULT_CONFIG = '/etc/l4-director.json'

/** The file that the arguments name; undefined when they are no good. */
export function configArgument(args: readonly string[]): string | undefined {
  try {
    const { values } = parseArgs({ args: [...args], options: { config: { type: 'string', short: 'c' } } })
    return values.config ?? DEFAULT_CONFIG
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return undefined
  }
}

/** `check`: says what is wrong with a configuration file. Answers the exit status. */
export async function check(args: readonly string[]): Promise<number> {
  const file = configArgument(args)
  if (file === undefined) return 2
  try {
    const { configuration } = await readConfiguration(file)
    const { services, version } = configuration
    process.stdout.write(`${file}: ${services.length} services, digest ${version.digest}\n`)
    return 0
  } catch (error) {
    if (!isDirectorError(error)) throw error
    process.stderr.write(`${error.message}\n`)
    return 1
  }
}

/** `run`: a daemon, until it is told to stop. Answers the exit status. */
export async function run(args: readonly string[]): Promise<number> {
  const file = configArgument(args)
  if (file === undefined) return 2
  const log = new Log((line) => process.stdout.write(line))
  const manager = new ServiceManager(process.env, (why) =>
    log.tell('warn', 'service-manager', `the service manager was not told: ${why}`),
  )
  // Signals that come before there is a director wait for it.
  const early: NodeJS.Signals[] = []
  let take = (signal: NodeJS.Signals): void => void early.push(signal)
  for (const name of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.on(name, () => take(name))
  try {
    const daemon = await Daemon.start(file, log, manager)
    take = (signal) => obey(daemon, signal, log)
    for (const signal of early) take(signal)
    await daemon.ended
    await daemon.close()
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
    daemon.stop().catch((error: unknown) => log.failure('fault', asDirectorError(error)))
    return
  }
  daemon.reload().catch((error: unknown) => {
    // A refusal is in the log already; anything else is a defect.
    if (!isDirectorError(error)) log.failure('fault', asDirectorError(error))
  })
}
