import type { CoreDirector } from './binding/core.js'
import { unwrap } from './binding/outcome.js'
import { textOf } from './binding/text.js'
import type { ServiceKey } from './command.js'
import { ConfigurableDirector } from './configurable.js'
import type { ConnectionFilter, ConnectionPage, ConnectionRow } from './connection.js'
import type { DrainOptions } from './drain.js'
import { Endable } from './endable.js'
import { closedError } from './errors.js'
import type { DirectorError } from './errors.js'
import type { CoreEvent } from './events.js'
import type { Explanation, Flow } from './explanation.js'
import { KeepAlive } from './keep-alive.js'
import { OfflineDirector } from './offline-director.js'
import { checked } from './options/check.js'
import { connectionFilter, flow as flowCheck } from './options/connections.js'
import { keyOrNull } from './options/key.js'
import type { OfflineOptions } from './options/offline.js'
import { Problems } from './options/problems.js'
import { checkSloppy, directorOptions } from './options/start.js'
import type { DirectorOptions, Logger } from './options/start.js'
import type { LiveStatistics } from './snapshot.js'
import { startDirector } from './start.js'
import { statisticsAt, statisticsOptions } from './statistics.js'
import type { StatisticsOptions } from './statistics.js'

const PAGE_ROWS = 1024
const DRAIN_CHECK_MS = 200

/**
 * A running director: it takes its virtual services' packets off the interfaces and forwards them to
 * their real servers, in threads of its own.
 */
export class Director extends ConfigurableDirector {
  readonly #core: CoreDirector
  readonly #keepAlive = new KeepAlive()
  readonly #closing = new AbortController()
  readonly #logger: Logger | undefined
  #closed: Promise<void> | undefined
  #drainTimer: NodeJS.Timeout | undefined

  /** @internal */
  private constructor(core: CoreDirector, logger: Logger | undefined) {
    super()
    this.#core = core
    this.#logger = logger
  }

  /**
   * Starts a director on some interfaces; resolves once it forwards and the host no longer sees the
   * services' packets. It holds the event loop open until it is closed or `unref()` is called.
   *
   * @throws DirectorError all of `addService()` for the options; `ERR_DIRECTOR_INTERFACE_NOT_FOUND`,
   * `ERR_DIRECTOR_INTERFACE_UNSUITABLE`, `ERR_DIRECTOR_MISSING_CAPABILITY`,
   * `ERR_DIRECTOR_SERVICE_IN_USE`, `ERR_DIRECTOR_GUARD_FAILED`, `ERR_DIRECTOR_FAST_PATH`, `ERR_DIRECTOR_SOCKET`, `ERR_DIRECTOR_ABORTED`, `ERR_DIRECTOR_UNSUPPORTED_PLATFORM`,
   * `ERR_DIRECTOR_NATIVE_NOT_FOUND`. Nothing remains on the host then.
   */
  static async start(options: DirectorOptions): Promise<Director> {
    const problems = new Problems()
    const accepted = directorOptions(options, '', problems)
    checkSloppy(accepted, problems)
    problems.throwIfAny()
    const { control } = options
    const director = await startDirector(accepted ?? options, (core, logger) => new Director(core, logger))
    if (control !== undefined) await director.#openControl(control)
    return director
  }

  /**
   * Makes a director without sockets, threads or privileges, on a virtual clock: to ask where a flow
   * would go, to test a configuration, to replay frames.
   *
   * @throws DirectorError all of `addService()` for the options; `ERR_DIRECTOR_NATIVE_NOT_FOUND`
   */
  static offline(options: OfflineOptions = {}): OfflineDirector {
    return new OfflineDirector(options)
  }

  /** Whether `close()` was called, or the director stopped after a fault of its own. */
  get closed(): boolean {
    return this.#closed !== undefined
  }

  /** Holds the event loop open, as a director does from its start. */
  ref(): this {
    if (!this.closed) this.#keepAlive.ref()
    return this
  }

  /** Lets the process end although the director runs; then the kernel forgets its sockets. */
  unref(): this {
    this.#keepAlive.unref()
    return this
  }

  /**
   * Stops forwarding and undoes everything: threads, sockets, guards. A second call answers with the
   * promise of the first. Waits on the director (`drained()`) are rejected with `ERR_DIRECTOR_CLOSED`.
   *
   * @throws DirectorError `ERR_DIRECTOR_GUARD_FAILED` when filters could not be removed, as after the
   * process gave up its rights: on which interface, and the commands that remove them. The director has
   * closed nevertheless.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /** Closes the director at the end of an `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /**
   * All counters, now; of the services only those of one, if it is named: none if there is no such
   * service. Rejects with `ERR_DIRECTOR_CLOSED` after `close()`.
   */
  async snapshot(service?: ServiceKey): Promise<LiveStatistics> {
    return unwrap(await this.core().statistics(textOf(keyOrNull(service))))
  }

  /**
   * All counters at an interval, the first at once. Ends when the director is closed.
   *
   * @throws DirectorError `ERR_DIRECTOR_ABORTED`, `ERR_DIRECTOR_OUT_OF_RANGE`
   */
  statistics(options: StatisticsOptions = {}): AsyncIterableIterator<LiveStatistics> {
    const accepted = checked(statisticsOptions, options, new Problems())
    this.core()
    return statisticsAt(() => this.snapshot(), this.#closing.signal, accepted)
  }

  /**
   * The entries of the connection table that pass a filter. The table goes on changing meanwhile:
   * an entry that comes or goes during the listing may or may not be in it.
   *
   * @throws DirectorError `ERR_DIRECTOR_INVALID_OPTIONS`, `ERR_DIRECTOR_CLOSED`
   */
  connections(filter: ConnectionFilter = {}): AsyncIterableIterator<ConnectionRow> {
    return new Endable(() => this.#rows(filter))
  }

  async *#rows(filter: ConnectionFilter): AsyncGenerator<ConnectionRow, void, undefined> {
    const accepted = checked(connectionFilter, filter, new Problems())
    for (let cursor: number | null = 0; cursor !== null;) {
      const page: ConnectionPage = await this.connectionPage(accepted, cursor, PAGE_ROWS)
      yield* page.rows
      cursor = page.next
    }
  }

  /** @internal */
  async connectionPage(filter: ConnectionFilter, cursor: number, limit: number): Promise<ConnectionPage> {
    return unwrap(await this.core().connections(textOf(filter), cursor, limit))
  }

  /** Says where the next packet of a flow goes, and why. */
  async explain(flow: Flow): Promise<Explanation> {
    return unwrap(await this.core().explain(textOf(checked(flowCheck, flow, new Problems()))))
  }

  /** Sets the traffic counters of a service, or of all, to zero (`ipvsadm -Z`); those of verdicts go on. */
  async zero(service?: ServiceKey): Promise<void> {
    unwrap(await this.core().zero(textOf(keyOrNull(service))))
  }

  /** A director that cannot be controlled as asked does not run. */
  async #openControl(path: string): Promise<void> {
    try {
      // The director itself holds the event loop open, or lets go.
      const server = await this.serveControl(path)
      server.unref()
    } catch (error) {
      await this.close()
      throw error
    }
  }

  /** @internal */
  protected override core(): CoreDirector {
    if (this.closed) throw closedError()
    return this.#core
  }

  /** @internal */
  protected override drainedWait(service: ServiceKey, server: string, options: DrainOptions): Promise<void> {
    this.core()
    const drained = this.drains.wait(service, server, options)
    void this.#checkDrains()
    this.#drainTimer ??= setInterval(() => void this.#checkDrains(), DRAIN_CHECK_MS).unref()
    return drained
  }

  /** @internal */
  takeEvents(): void {
    if (!this.closed) this.tellAll(this.#core.takeEvents())
  }

  /** @internal */
  protected override tellCore(event: CoreEvent): void {
    if (event.type === 'interface-down')
      this.#logger?.warn(`interface ${event.interface} passes no frames: ${event.reason}`)
    if (event.type === 'interface-up') this.#logger?.warn(`interface ${event.interface} is up`)
    if (event.type === 'recovered') this.#logger?.warn(event.message)
    if (event.type === 'error' || event.type === 'worker-fault') this.#logger?.error(event.message)
    super.tellCore(event)
    if (event.type === 'server-idle') void this.#checkDrains()
    // The core has stopped its threads by then; what is left is to undo the rest.
    if (event.type === 'worker-fault') this.close().catch((error: DirectorError) => this.fail(error))
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    clearInterval(this.#drainTimer)
    this.drains.fail(closedError)
    try {
      unwrap(await this.#core.close())
    } finally {
      this.#keepAlive.end()
      this.#logger?.info('the director has closed')
      this.tell('close')
      await this.closeControls()
    }
  }

  async #checkDrains(): Promise<void> {
    if (this.drains.idle) {
      clearInterval(this.#drainTimer)
      this.#drainTimer = undefined
    } else if (!this.closed) {
      const snapshot = await this.snapshot().catch(() => undefined)
      if (snapshot) this.drains.check(snapshot)
    }
  }
}
