import type { Socket } from 'node:net'
import { DirectorError, isDirectorError } from '../errors.js'
import type { ControlCounters } from './counters.js'
import { Lines } from './lines.js'
import type { MethodContext } from './methods.js'
import { Outlet } from './outlet.js'
import {
  errorLine,
  readRequest,
  REQUEST_OCTETS_MAX,
  requestError,
  requestId,
  resultLine,
} from './protocol.js'
import type { ControlRequest } from './protocol.js'
import { Subscriptions } from './subscriptions.js'

/** How long a line may take from its first octet to its last. */
const LINE_MS_MAX = 10_000

/** What a client's connection gets from the server. */
export interface ConnectionHost {
  readonly counters: ControlCounters
  readonly context: Omit<MethodContext, 'subscribe' | 'unsubscribe'>
  readonly call: (request: ControlRequest, context: MethodContext) => unknown
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** A client. Its requests are carried out one after another; meanwhile nothing more is read. */
export class ControlConnection {
  readonly subscriptions: Subscriptions
  readonly #socket: Socket
  readonly #host: ConnectionHost
  readonly #lines = new Lines(REQUEST_OCTETS_MAX)
  readonly #outlet: Outlet
  readonly #context: MethodContext
  #deadline: NodeJS.Timeout | undefined

  constructor(socket: Socket, host: ConnectionHost) {
    this.#socket = socket
    this.#host = host
    this.#outlet = new Outlet(socket, () => {
      host.counters.slowReaders += 1
    })
    this.subscriptions = new Subscriptions(this.#outlet, host.counters, () =>
      host.context.director.snapshot(),
    )
    this.#context = {
      ...host.context,
      subscribe: (id, params) => this.subscriptions.add(id, params),
      unsubscribe: (id) => this.subscriptions.remove(id),
    }
    socket.on('data', (chunk: Buffer) => void this.#take(chunk))
    socket.on('close', () => this.#end())
  }

  async #take(chunk: Buffer): Promise<void> {
    this.#socket.pause()
    for (const line of this.#lines.take(chunk)) {
      clearTimeout(this.#deadline)
      this.#deadline = undefined
      if (line === undefined) return this.#oversized()
      await this.#answer(line)
      if (this.#socket.destroyed || this.#socket.writableEnded) return
    }
    if (this.#lines.begun) this.#expectEnd()
    this.#socket.resume()
  }

  /** A line that has begun has to end: somebody who dribbles octets does not get more time. */
  #expectEnd(): void {
    this.#deadline ??= setTimeout(() => this.#unfinished(), LINE_MS_MAX).unref()
  }

  async #answer(line: Buffer): Promise<void> {
    const { counters } = this.#host
    let id: number | null = null
    try {
      const value: unknown = parse(line)
      id = requestId(value)
      const request = readRequest(value)
      const answer = resultLine(request.id, await this.#host.call(request, this.#context))
      counters.answered += 1
      await this.#outlet.answer(answer)
    } catch (thrown) {
      const error = isDirectorError(thrown) ? thrown : internal(thrown)
      counters.refused += 1
      await this.#outlet.answer(errorLine(id, error))
      if (error.code === 'ERR_DIRECTOR_CONTROL_VERSION') this.#socket.destroySoon()
    }
  }

  #oversized(): void {
    this.#host.counters.oversized += 1
    this.#sendAway(requestError(`a line is longer than ${REQUEST_OCTETS_MAX} octets; send less at once`))
  }

  #unfinished(): void {
    this.#host.counters.unfinished += 1
    this.#sendAway(requestError(`a line did not end within ${LINE_MS_MAX / 1000} seconds`))
  }

  #sendAway(error: DirectorError): void {
    this.#socket.write(errorLine(null, error))
    this.#socket.destroySoon()
  }

  #end(): void {
    clearTimeout(this.#deadline)
    this.subscriptions.clear()
    this.#host.counters.clients -= 1
  }
}

function parse(line: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(line))
  } catch (cause) {
    throw requestError(
      `the line is not JSON in UTF-8: ${cause instanceof Error ? cause.message : String(cause)}`,
    )
  }
}

function internal(cause: unknown): DirectorError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new DirectorError('ERR_DIRECTOR_INTERNAL', `${reason}; this is a defect, please report it`, {
    cause,
  })
}
