import type { Command, ServiceKey } from '../command.js'
import type { Configuration } from '../configuration.js'
import type { ConnectionFilter, ConnectionRow } from '../connection.js'
import { onAbort } from '../abort.js'
import { Endable } from '../endable.js'
import { abortedError, DirectorError, isDirectorError } from '../errors.js'
import type { Explanation, Flow } from '../explanation.js'
import { checked, object, text } from '../options/check.js'
import { Problems } from '../options/problems.js'
import { abortSignal } from '../options/start.js'
import type { LiveStatistics } from '../live-snapshot.js'
import type { Statistics, Version } from '../snapshot.js'
import { ClientConnection } from './client-connection.js'
import type { Told } from './client-connection.js'
import type { ControlStatistics } from './counters.js'
import { Inbox } from './inbox.js'
import { DEFAULT_CONTROL_PATH } from './protocol.js'
import type { ControlEvent, ControlEventName } from './subscribe-params.js'

/** Events kept for a loop that is slower than the director. */
const KEPT_MAX = 4096

/** How `ControlClient.connect()` connects. */
export interface ControlClientOptions {
  /** Path of the socket. Default: the environment's `L4_DIRECTOR_CONTROL`, else `/run/l4-director/control.sock`. */
  readonly path?: string
  /** Gives up connecting when aborted. */
  readonly signal?: AbortSignal
}

/** What a director answers to `snapshot()`. */
export interface ControlSnapshot {
  /** Everything configured. */
  readonly configuration: Configuration
  /** Everything counted; of a live director with its interfaces. */
  readonly statistics: Statistics & Partial<LiveStatistics>
  /** What the control socket has seen. */
  readonly control: ControlStatistics
}

const connectOptions = object<ControlClientOptions>({ path: text(1, 4096), signal: abortSignal }, [])

/**
 * A client of a director's control socket. Every method rejects with the `DirectorError` that the
 * director answers, or with `ERR_DIRECTOR_CONTROL_SOCKET` when the connection is lost.
 */
export class ControlClient {
  readonly #connection: ClientConnection

  private constructor(connection: ClientConnection) {
    this.#connection = connection
  }

  /**
   * Connects to a director.
   *
   * @throws DirectorError `ERR_DIRECTOR_CONTROL_SOCKET`, `ERR_DIRECTOR_ABORTED`, `ERR_DIRECTOR_INVALID_OPTIONS`
   */
  static async connect(options: ControlClientOptions = {}): Promise<ControlClient> {
    const { path, signal } = checked(connectOptions, options, new Problems())
    const chosen = path ?? (process.env['L4_DIRECTOR_CONTROL'] || DEFAULT_CONTROL_PATH)
    return new ControlClient(await ClientConnection.open(chosen, signal))
  }

  /** Says who is there. */
  async ping(): Promise<{ readonly name: string; readonly version: string; readonly pid: number }> {
    return this.#ask('ping')
  }

  /** Applies commands in their order, all or none. */
  async apply(commands: readonly Command[]): Promise<Version> {
    const { version } = await this.#ask<{ version: Version }>('apply', { commands })
    return version
  }

  /** Everything configured and counted, now; of the services only one, if it is named: none if there is no such service. */
  async snapshot(service?: ServiceKey): Promise<ControlSnapshot> {
    return this.#ask('snapshot', service === undefined ? {} : { service })
  }

  /** The entries of the connection table that pass a filter, asked for page by page. */
  connections(filter: ConnectionFilter = {}): AsyncGenerator<ConnectionRow, void, undefined> {
    return new Endable(() => this.#rows(filter))
  }

  async *#rows(filter: ConnectionFilter): AsyncGenerator<ConnectionRow, void, undefined> {
    for (let cursor: number | null = 0; cursor !== null;) {
      const page: { rows: readonly ConnectionRow[]; cursor: number | null } = await this.#ask('connections', {
        filter,
        cursor,
      })
      yield* page.rows
      cursor = page.cursor
    }
  }

  /** Sets the traffic counters of a service, or of all, to zero. */
  async zero(service?: ServiceKey): Promise<void> {
    await this.#ask('zero', service === undefined ? {} : { service })
  }

  /** Says where the next packet of a flow goes, and why. */
  async explain(flow: Flow): Promise<Explanation> {
    return this.#ask('explain', { flow })
  }

  /**
   * What happens from now on, of these events. 4096 wait for a slow loop; beyond them it ends.
   *
   * @throws DirectorError `ERR_DIRECTOR_CONTROL_BUSY` when the loop was too slow, `ERR_DIRECTOR_ABORTED`
   */
  events<K extends ControlEventName>(
    names: readonly K[],
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<ControlEvent<K>, void, undefined> {
    const inbox = new Inbox<ControlEvent<K>>(KEPT_MAX)
    return this.#subscribe({ events: names }, inbox, options.signal, (name, data) => {
      const isLost = inbox.put({ name, data } as ControlEvent<K>)
      if (isLost) inbox.finish(tooSlow())
    })
  }

  /** Statistics at an interval (milliseconds, from 100), the first at once; a slow loop gets the latest. */
  statistics(
    options: { readonly intervalMs?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<Statistics & Partial<LiveStatistics>, void, undefined> {
    const { intervalMs = 1000, signal } = options
    const inbox = new Inbox<Statistics & Partial<LiveStatistics>>(1)
    return this.#subscribe({ statistics: { intervalMs } }, inbox, signal, (_, data) => {
      inbox.put(data as Statistics)
    })
  }

  /** A method that only some servers have, such as the `reload` of the daemon. */
  async call(method: string, params: object = {}): Promise<unknown> {
    return this.#ask(method, params)
  }

  /** Holds the event loop open, as from the start. */
  ref(): this {
    this.#connection.hold(true)
    return this
  }

  /** Lets the process end although the connection is open. */
  unref(): this {
    this.#connection.hold(false)
    return this
  }

  /** Ends the connection; loops over it end. */
  close(): void {
    this.#connection.close()
  }

  /** Ends the connection at the end of an `await using` or `using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }

  async #ask<T>(method: string, params: object = {}): Promise<T> {
    return (await this.#connection.ask(method, params)) as T
  }

  #subscribe<T>(params: object, inbox: Inbox<T>, signal: AbortSignal | undefined, told: Told): Endable<T> {
    return new Endable((ended) => this.#told(params, inbox, { ended, signal }, told))
  }

  async *#told<T>(
    params: object,
    inbox: Inbox<T>,
    { ended, signal }: { readonly ended: AbortSignal; readonly signal: AbortSignal | undefined },
    told: Told,
  ): AsyncGenerator<T, void, undefined> {
    if (signal?.aborted) throw abortedError('the subscription', signal)
    const releases = [
      onAbort(signal, () => inbox.finish(signal && abortedError('the subscription', signal))),
      onAbort(ended, () => inbox.finish()),
    ]
    const settle = this.#connection.whenEnded((error) => inbox.finish(endOf(error)))
    const asked = this.#connection.ask('subscribe', params, told)
    const id = this.#connection.last
    try {
      asked.catch((error: DirectorError) => inbox.finish(endOf(error)))
      yield* inbox.take()
    } finally {
      for (const release of releases) release()
      settle()
      // A director that does not answer any more is not waited for.
      this.#connection.forget(id).catch(ignoreEnd)
    }
  }
}

function tooSlow(): DirectorError {
  const message = `more than ${KEPT_MAX} events waited for the loop over them`
  return new DirectorError('ERR_DIRECTOR_CONTROL_BUSY', message)
}

/** Loops over what a client is told end with the client, and throw what else ends them. */
function endOf(error: DirectorError): DirectorError | undefined {
  return error.code === 'ERR_DIRECTOR_CLOSED' ? undefined : error
}

/** A connection that is over has no subscriptions. */
function ignoreEnd(error: unknown): void {
  if (!isDirectorError(error)) throw error
}
