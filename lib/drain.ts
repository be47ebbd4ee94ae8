import { onAbort } from './abort.js'
import { serverText, serviceText } from './address.js'
import type { ServiceKey } from './command.js'
import { abortedError, DirectorError } from './errors.js'
import { object, oneOf } from './options/check.js'
import type { Check } from './options/check.js'
import { abortSignal } from './options/start.js'
import type { ServerSnapshot, Statistics } from './snapshot.js'

/** How `drained()` waits. */
export interface DrainOptions {
  /** Gives up waiting when aborted. */
  readonly signal?: AbortSignal
  /**
   * What has to end: `active` connections (established, for TCP), or `all` entries, those that only
   * wait for their timeout included. Default: `active`.
   */
  readonly until?: 'active' | 'all'
}

/** The options of `drained()`. */
export const drainOptions: Check<DrainOptions> = object<DrainOptions>(
  { signal: abortSignal, until: oneOf('active', 'all') },
  [],
)

interface Waiter {
  readonly service: string
  readonly server: string
  readonly until: 'active' | 'all'
  readonly settle: (error?: DirectorError) => void
}

/** Everybody who waits for a server's connections to end. */
export class Drains {
  readonly #waiters = new Set<Waiter>()

  /** Whether nobody waits. */
  get idle(): boolean {
    return this.#waiters.size === 0
  }

  /** Waits until `check()` finds that the server's connections have ended. */
  wait(service: ServiceKey, server: string, { signal, until = 'active' }: DrainOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(abortedError('drained()', signal))
      const waiter: Waiter = {
        service: serviceText(service),
        server,
        until,
        settle: (error) => {
          this.#waiters.delete(waiter)
          release()
          if (error) reject(error)
          else resolve()
        },
      }
      this.#waiters.add(waiter)
      const release = onAbort(signal, () => waiter.settle(signal && abortedError('drained()', signal)))
    })
  }

  /** Lets go those whose server has no connections left, and those whose server is gone. */
  check(statistics: Statistics): void {
    if (this.idle) return
    const servers = byName(statistics)
    for (const waiter of this.#waiters) {
      const found = servers.get(`${waiter.service} ${waiter.server}`)
      if (!found) waiter.settle(removed(waiter))
      else if (connections(found, waiter.until) === 0) waiter.settle()
    }
  }

  /** Ends every wait with an error. */
  fail(error: () => DirectorError): void {
    for (const waiter of this.#waiters) waiter.settle(error())
  }
}

function byName(statistics: Statistics): Map<string, ServerSnapshot> {
  const named = statistics.services.flatMap((service) =>
    service.servers.map(
      (server) => [`${serviceText(service)} ${serverText(service, server)}`, server] as const,
    ),
  )
  return new Map(named)
}

function connections(server: ServerSnapshot, until: 'active' | 'all'): number {
  if (until === 'active') return server.activeConnections
  return server.activeConnections + server.inactiveConnections + server.persistentConnections
}

function removed({ server, service }: Waiter): DirectorError {
  const message = `${server} was removed from ${service} while drained() waited`
  return new DirectorError('ERR_DIRECTOR_SERVER_NOT_FOUND', message)
}
