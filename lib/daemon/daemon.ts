import { isDeepStrictEqual } from 'node:util'
import { ControlServer } from '../control/server.js'
import { difference, wholeOptions } from '../difference.js'
import { Director } from '../director.js'
import { closedError, DirectorError, isDirectorError } from '../errors.js'
import type { DirectorOptions } from '../options/start.js'
import type { Version } from '../snapshot.js'
import { DEFAULT_CONTROL_PATH } from '../control/protocol.js'
import { fileOf, readConfiguration } from './configuration-file.js'
import type { ConfigurationFile, ConfigurationSource } from './configuration-file.js'
import type { DaemonOptions } from './daemon-options.js'
import { drained, refuseNew } from './draining.js'
import { logEvents } from './event-log.js'
import type { Log } from './log.js'
import { writeCounters } from './proc-files.js'
import type { ServiceManager } from './service-manager.js'

/** The options that a reload brings into force; the others are read at a start. */
const RELOADED: ReadonlySet<string> = new Set([
  '$schema',
  'drain',
  'logLevel',
  'marks',
  'rules',
  'services',
  'settings',
  'sloppy',
])

/** A director that a configuration file describes. */
export class Daemon {
  readonly #source: ConfigurationSource
  readonly #log: Log
  readonly #manager: ServiceManager
  readonly #director: Director
  readonly #ended: Promise<void>
  #control: ControlServer | undefined
  #options: DaemonOptions
  #procTimer: NodeJS.Timeout | undefined
  #reloads: Promise<unknown> = Promise.resolve()
  #stopping: AbortController | undefined

  private constructor(
    source: ConfigurationSource,
    log: Log,
    manager: ServiceManager,
    director: Director,
    options: DaemonOptions,
  ) {
    this.#source = source
    this.#log = log
    this.#manager = manager
    this.#director = director
    this.#options = options
    this.#ended = new Promise((resolve) => director.once('close', resolve))
    logEvents(director, log)
  }

  /**
   * Starts a director as a configuration says.
   *
   * @throws ConfigurationFileError with all problems; DirectorError as `Director.start()`
   */
  static async start(source: ConfigurationSource, log: Log, manager: ServiceManager): Promise<Daemon> {
    const { options, configuration } = await readConfiguration(source)
    log.level = options.logLevel ?? 'info'
    const director = await Director.start({
      ...startOptions(options),
      ...wholeOptions(configuration),
      logger: log,
    })
    const daemon = new Daemon(source, log, manager, director, options)
    try {
      await daemon.#serve()
    } catch (error) {
      await director.close()
      throw error
    }
    daemon.#keepProc()
    manager.ready(() => director.snapshot())
    log.tell('info', 'started', 'the director forwards', {
      file: fileOf(source),
      ...director.version,
      control: daemon.#control?.path,
    })
    return daemon
  }

  /** The director. */
  get director(): Director {
    return this.#director
  }

  /** Resolves once the director has closed: after `stop()`, or by a fault of its own. */
  get ended(): Promise<void> {
    return this.#ended
  }

  /** Whether `stop()` was called. */
  get stopping(): boolean {
    return this.#stopping !== undefined
  }

  /**
   * Reads the file again and applies what differs from what is in force. When anything is wrong
   * with it, everything stays as it is.
   *
   * @throws ConfigurationFileError with all problems; DirectorError
   */
  reload(): Promise<Version> {
    const next = this.#reloads.then(() => this.#reload())
    this.#reloads = next.catch(() => undefined)
    return next
  }

  async #reload(): Promise<Version> {
    this.#manager.reloading()
    try {
      const file = await readConfiguration(this.#source)
      if (this.#stopping) throw closedError()
      const commands = difference(this.#director.configuration, file.configuration)
      const version = this.#director.apply(commands)
      this.#tellFixed(file)
      this.#options = file.options
      this.#log.level = file.options.logLevel ?? 'info'
      this.#log.tell('info', 'reloaded', 'the configuration file is in force', {
        file: fileOf(this.#source),
        commands: commands.length,
        ...version,
      })
      return version
    } catch (error) {
      if (isDirectorError(error)) this.#log.failure('reload-refused', error)
      throw error
    } finally {
      if (!this.#stopping) this.#manager.ready(() => this.#director.snapshot())
    }
  }

  /** Drains as the file says, and closes. A second call does not wait for connections any longer. */
  async stop(): Promise<void> {
    if (this.#stopping) return this.#stopping.abort()
    this.#stopping = new AbortController()
    this.#manager.stopping()
    const { deadlineSeconds = 0, refuseNew: refuses = false } = this.#options.drain ?? {}
    this.#log.tell('info', 'stopping', 'the director drains', { deadlineSeconds, refuseNew: refuses })
    if (deadlineSeconds > 0) {
      if (refuses) refuseNew(this.#director)
      const left = await drained(this.#director, deadlineSeconds * 1000, this.#stopping.signal)
      this.#log.tell('info', 'drained', 'active connections that are left', { activeConnections: left })
    }
    await this.#director.close()
  }

  /** What stays on the host although the director has closed. */
  async left(): Promise<DirectorError | undefined> {
    return this.#director.close().then(() => undefined, asDirectorError)
  }

  /** Undoes what is left after the director has closed. */
  async close(): Promise<void> {
    clearInterval(this.#procTimer)
    this.#manager.close()
    await this.#control?.close()
  }

  async #serve(): Promise<void> {
    const { control = DEFAULT_CONTROL_PATH } = this.#options
    const server = await ControlServer.open(this.#director, control, {
      reload: async () => ({ version: await this.reload() }),
      shutdown: () => {
        // The answer goes out first.
        setImmediate(() => void this.stop().catch(() => undefined))
        return {}
      },
    })
    this.#control = server.unref()
  }

  /** Keeps the files for readers of IPVS's up to date; a folder that cannot be written is told of. */
  #keepProc(): void {
    const { proc } = this.#options
    if (proc === undefined) return
    // Told once, and once when it is over.
    let failing = false
    const write = async (): Promise<void> => {
      try {
        writeCounters(proc.path, await this.#director.snapshot())
        if (failing) this.#log.tell('info', 'proc-recovered', 'the files of counters are written again')
        failing = false
      } catch (error) {
        if (!failing && !this.#director.closed) this.#log.failure('proc', asDirectorError(error))
        failing = true
      }
    }
    void write()
    this.#procTimer = setInterval(() => void write(), 1000 * (proc.intervalSeconds ?? 10)).unref()
  }

  /** Tells what takes effect at the next start only. */
  #tellFixed({ options }: ConfigurationFile): void {
    const names = new Set([...Object.keys(this.#options), ...Object.keys(options)])
    const changed = [...names].filter(
      (name) =>
        !RELOADED.has(name) &&
        !isDeepStrictEqual(Reflect.get(this.#options, name), Reflect.get(options, name)),
    )
    if (changed.length > 0)
      this.#log.tell('warn', 'restart-needed', 'changed options take effect at the next start only', {
        options: changed,
      })
  }
}

function startOptions(options: DaemonOptions): DirectorOptions {
  const {
    $schema: _1,
    drain: _2,
    proc: _3,
    logLevel: _4,
    control: _5,
    rules: _6,
    sloppy: _7,
    ...rest
  } = options
  return rest
}

/** What was thrown, as an error of this package. */
export function asDirectorError(thrown: unknown): DirectorError {
  if (isDirectorError(thrown)) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new DirectorError('ERR_DIRECTOR_INTERNAL', message, { cause: thrown })
}
