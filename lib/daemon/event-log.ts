import type { Director } from '../director.js'
import type { Log } from './log.js'

/** Writes what happens to a log. A fault is written and not thrown: the director closes by itself if it must. */
export function logEvents(director: Director, log: Log): void {
  director.on('adopted', (event) => log.tell('info', 'adopted', 'connections were adopted', event))
  director.on('serverQuiesced', (event) =>
    log.tell('info', 'server-quiesced', 'a server was quiesced', event),
  )
  director.on('serverDrained', (event) => log.tell('info', 'server-drained', 'a server has drained', event))
  director.on('eventsLost', (event) => log.tell('warn', 'events-lost', 'events were lost', event))
  director.on('error', (error) => log.failure('fault', error))
}
