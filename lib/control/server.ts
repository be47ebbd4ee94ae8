import { errorMonitor } from 'node:events'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import type { ConfigurableDirector } from '../configurable.js'
import { DirectorError } from '../errors.js'
import { checked, text } from '../options/check.js'
import { Problems } from '../options/problems.js'
import { ControlConnection } from './control-connection.js'
import type { ConnectionHost } from './control-connection.js'
import { newCounters } from './counters.js'
import type { ControlCounters, ControlStatistics } from './counters.js'
import { methods, unknownMethod } from './methods.js'
import type { Method } from './methods.js'
import { mayControl, peerOf } from './peer.js'
import { errorLine } from './protocol.js'
import { listenAt } from './socket-file.js'
import type { SocketFile } from './socket-file.js'
import { CONTROL_EVENTS } from './subscribe-params.js'
import type { ControlEventName } from './subscribe-params.js'

const CLIENTS_MAX = 64
/** How long clients may take for what waits for them when the socket closes. */
const CLOSE_MS_MAX = 1000

/** A director's control socket. */
export class ControlServer {
  readonly #server: Server
  readonly #counters: ControlCounters
  readonly #connections = new Set<ControlConnection>()
  readonly #sockets = new Set<Socket>()
  readonly #director: ConfigurableDirector
  readonly #host: ConnectionHost
  readonly #listeners = new Map<string | symbol, (...args: never[]) => void>()
  #file: SocketFile | undefined
  #closed: Promise<void> | undefined

  /** @internal */
  private constructor(director: ConfigurableDirector, more: Readonly<Record<string, Method>>) {
    const served = { ...methods, ...more }
    this.#director = director
    this.#counters = newCounters()
    this.#host = {
      counters: this.#counters,
      context: { director, statistics: () => this.statistics },
      call: (request, context) => {
        const method = Object.hasOwn(served, request.method) ? served[request.method] : undefined
        if (method === undefined) throw unknownMethod(request.method, Object.keys(served))
        return method(request.params, context, request.id)
      },
    }
    this.#server = createServer((socket) => this.#accept(socket))
  }

  /**
   * Serves a director at a path. The socket has mode 0600; that of a director that died is replaced.
   *
   * @throws DirectorError `ERR_DIRECTOR_CONTROL_IN_USE`, `ERR_DIRECTOR_CONTROL_SOCKET`, `ERR_DIRECTOR_INVALID_OPTIONS`
   * @internal
   */
  static async open(
    director: ConfigurableDirector,
    path: string,
    more: Readonly<Record<string, Method>> = {},
  ): Promise<ControlServer> {
    const accepted = checked(text(1, 4096), path, new Problems(), 'control')
    const made = new ControlServer(director, more)
    made.#file = await listenAt(made.#server, accepted)
    made.#follow()
    return made
  }

  /** Where the socket is. */
  get path(): string {
    return this.#file?.path ?? ''
  }

  /** What the socket has seen. */
  get statistics(): ControlStatistics {
    return { ...this.#counters }
  }

  /** Holds the event loop open, as from the start. */
  ref(): this {
    this.#server.ref()
    return this
  }

  /** Lets the process end although the socket is open. */
  unref(): this {
    this.#server.unref()
    return this
  }

  /** Sends all clients away and removes the socket. A second call answers with the promise of the first. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      for (const [name, listener] of this.#listeners) this.#director.off(name as never, listener as never)
      this.#file?.remove()
      this.#server.close(() => resolve())
      for (const socket of this.#sockets) socket.destroySoon()
      // Whoever does not read what still waits is not waited for.
      setTimeout(() => this.#sockets.forEach((socket) => socket.destroy()), CLOSE_MS_MAX).unref()
    })
    return this.#closed
  }

  /** Closes the socket at the end of an `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #accept(socket: Socket): void {
    socket.unref()
    // A client that goes away is no error: its 'close' follows.
    socket.on('error', () => undefined)
    if (!mayControl(peerOf(socket))) {
      this.#counters.denied += 1
      return sendAway(socket, denied())
    }
    if (this.#connections.size >= CLIENTS_MAX) {
      this.#counters.tooMany += 1
      return sendAway(socket, busy())
    }
    this.#counters.accepted += 1
    this.#counters.clients += 1
    const connection = new ControlConnection(socket, this.#host)
    this.#connections.add(connection)
    this.#sockets.add(socket)
    socket.on('close', () => {
      this.#connections.delete(connection)
      this.#sockets.delete(socket)
    })
  }

  #follow(): void {
    for (const name of CONTROL_EVENTS) {
      const listener = (data: unknown): void => this.#tell(name, data)
      // Watching is not handling: an error nobody listens to stays an uncaught one.
      const event = name === 'error' ? errorMonitor : name
      this.#listeners.set(event, listener)
      this.#director.on(event as never, listener as never)
    }
  }

  #tell(name: ControlEventName, data: unknown): void {
    if (this.#counters.subscriptions === 0) return
    const json = JSON.stringify(data instanceof DirectorError ? faultOf(data) : (data ?? {}))
    for (const connection of this.#connections) connection.subscriptions.tell(name, json)
  }
}

function sendAway(socket: Socket, error: DirectorError): void {
  socket.write(errorLine(null, error))
  socket.destroySoon()
}

function denied(): DirectorError {
  const message = 'only the user that the director runs as, and root, may control it'
  return new DirectorError('ERR_DIRECTOR_CONTROL_DENIED', message)
}

function busy(): DirectorError {
  const message = `there are ${CLIENTS_MAX} clients already; close one`
  return new DirectorError('ERR_DIRECTOR_CONTROL_BUSY', message)
}

function faultOf({ code, message, issues }: DirectorError): object {
  return { code, message, issues }
}
