import { DirectorError } from '../errors.js'
import type { Statistics } from '../snapshot.js'
import type { ControlCounters } from './counters.js'
import type { Outlet } from './outlet.js'
import { requestError } from './protocol.js'
import type { ControlEventName, SubscribeParams } from './subscribe-params.js'

const SUBSCRIPTIONS_MAX = 16

interface Subscription {
  readonly events: ReadonlySet<ControlEventName>
  readonly timer: NodeJS.Timeout | undefined
}

/** What one client wants to be told. */
export class Subscriptions {
  readonly #outlet: Outlet
  readonly #counters: ControlCounters
  readonly #snapshot: () => Statistics | Promise<Statistics>
  readonly #wanted = new Map<number, Subscription>()

  constructor(outlet: Outlet, counters: ControlCounters, snapshot: () => Statistics | Promise<Statistics>) {
    this.#outlet = outlet
    this.#counters = counters
    this.#snapshot = snapshot
  }

  /** Begins one. */
  add(id: number, { events = [], statistics }: SubscribeParams): void {
    if (this.#wanted.has(id)) throw requestError(`id: ${id} is a subscription already; take another number`)
    if (this.#wanted.size >= SUBSCRIPTIONS_MAX) throw tooMany()
    const tick = (): void => void this.#count(id)
    const timer = statistics && setInterval(tick, statistics.intervalMs).unref()
    this.#wanted.set(id, { events: new Set(events), timer })
    this.#counters.subscriptions += 1
    if (statistics) setImmediate(tick)
  }

  /** Ends one, if it is there. */
  remove(id: number): void {
    clearInterval(this.#wanted.get(id)?.timer)
    if (this.#wanted.delete(id)) this.#counters.subscriptions -= 1
  }

  /** Ends all. */
  clear(): void {
    for (const id of this.#wanted.keys()) this.remove(id)
  }

  /** Tells an event, whose data is JSON already, to whoever wants it. */
  tell(event: ControlEventName, data: string): void {
    for (const [id, { events }] of this.#wanted) if (events.has(event)) this.#send(id, event, data)
  }

  /** A reader that is behind gets the next statistics, not all that it missed. */
  async #count(id: number): Promise<void> {
    if (this.#outlet.behind) {
      this.#counters.skipped += 1
      return
    }
    try {
      const counted = await this.#snapshot()
      if (this.#wanted.has(id)) this.#send(id, 'statistics', JSON.stringify(counted))
    } catch {
      // The director is closing: its `close` event says so.
      this.remove(id)
    }
  }

  #send(id: number, event: string, data: string): void {
    this.#outlet.tell(`{"subscription":${id},"event":"${event}","data":${data}}\n`)
  }
}

function tooMany(): DirectorError {
  const message = `a client has at most ${SUBSCRIPTIONS_MAX} subscriptions; one can name several events`
  return new DirectorError('ERR_DIRECTOR_CONTROL_BUSY', message)
}
