import { EventEmitter } from 'node:events'
import { DirectorError } from './errors.js'
import type { DirectorEvents } from './events.js'

/**
 * An emitter whose listeners cannot stop one another or the director: what one throws goes to the
 * `error` event, and what that cannot take becomes an uncaught exception of the process.
 */
export class GuardedEmitter extends EventEmitter<DirectorEvents> {
  /** Tells each listener on its own. */
  protected tell<K extends keyof DirectorEvents>(name: K, ...args: DirectorEvents[K]): void {
    for (const listener of this.rawListeners(name)) {
      try {
        Reflect.apply(listener, this, args)
      } catch (cause) {
        this.fail(listenerFailed(name, cause))
      }
    }
  }

  /** Emits `error`; whatever comes out of that becomes an uncaught exception, after the present turn. */
  protected fail(error: DirectorError): void {
    try {
      this.emit('error', error)
    } catch (uncaught) {
      process.nextTick(() => {
        throw uncaught
      })
    }
  }
}

function listenerFailed(name: string, cause: unknown): DirectorError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  const message = `a listener for '${name}' threw: ${reason}`
  return new DirectorError('ERR_DIRECTOR_LISTENER_FAILED', message, { cause })
}
