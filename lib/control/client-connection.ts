import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { onAbort } from '../abort.js'
import { abortedError, DirectorError } from '../errors.js'
import { Lines } from './lines.js'
import { faultError, PROTOCOL_VERSION, REQUEST_OCTETS_MAX } from './protocol.js'
import type { ControlMessage } from './protocol.js'

/** Octets of an answer at most: a snapshot of 10,000 services with 10 servers has some 60 million. */
const ANSWER_OCTETS_MAX = 1 << 29

interface Waiter {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: DirectorError) => void
}

/** Takes what a subscription is told. */
export type Told = (event: string, data: unknown) => void

/** A client's end of the connection: finds for each message who waits for it. */
export class ClientConnection {
  readonly #socket: Socket
  readonly #lines = new Lines(ANSWER_OCTETS_MAX)
  readonly #waiters = new Map<number, Waiter>()
  readonly #told = new Map<number, Told>()
  readonly #onEnd = new Set<(error: DirectorError) => void>()
  #last = 0
  #end: DirectorError | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', (cause) => this.#finish(lost(cause)))
    socket.on('close', () => this.#finish(lost()))
  }

  /** Connects. */
  static open(path: string, signal: AbortSignal | undefined): Promise<ClientConnection> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(abortedError('ControlClient.connect()', signal))
      const socket = connect(path)
      const release = onAbort(signal, () => {
        socket.destroy()
        if (signal) reject(abortedError('ControlClient.connect()', signal))
      })
      const refused = (cause: Error): void => {
        release()
        reject(unreachable(path, cause))
      }
      socket.once('error', refused)
      socket.once('connect', () => {
        release()
        socket.off('error', refused)
        resolve(new ClientConnection(socket))
      })
    })
  }

  /** Asks; answers with the result, or rejects with the director's error. `told` begins a subscription. */
  ask(method: string, params: object, told?: Told): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#end) return reject(this.#end)
      const id = (this.#last += 1)
      const line = `${JSON.stringify({ version: PROTOCOL_VERSION, id, method, params })}\n`
      if (Buffer.byteLength(line) > REQUEST_OCTETS_MAX) return reject(tooLong(method))
      this.#waiters.set(id, { resolve, reject })
      if (told) this.#told.set(id, told)
      this.#socket.write(line)
    })
  }

  /** Number of the request asked last. */
  get last(): number {
    return this.#last
  }

  /** Ends a subscription. */
  async forget(subscription: number): Promise<void> {
    if (this.#told.delete(subscription) && !this.#end) await this.ask('unsubscribe', { subscription })
  }

  /** Calls `ended` once the connection is over, also when it is already; answers with how not to. */
  whenEnded(ended: (error: DirectorError) => void): () => void {
    if (this.#end) ended(this.#end)
    else this.#onEnd.add(ended)
    return () => this.#onEnd.delete(ended)
  }

  /** Holds the event loop open, or lets go. */
  hold(open: boolean): void {
    if (open) this.#socket.ref()
    else this.#socket.unref()
  }

  /** Ends the connection. */
  close(): void {
    this.#finish(new DirectorError('ERR_DIRECTOR_CLOSED', 'the client is closed; connect anew'))
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    for (const line of this.#lines.take(chunk)) {
      if (line === undefined) return this.#broken('a line is too long')
      const message = read(line)
      if (message === undefined) return this.#broken('a line is not what a director sends')
      this.#deliver(message)
    }
  }

  #deliver(message: ControlMessage): void {
    if ('subscription' in message) return this.#told.get(message.subscription)?.(message.event, message.data)
    if (message.id === null) return this.#finish('error' in message ? faultError(message.error) : lost())
    const waiter = this.#waiters.get(message.id)
    this.#waiters.delete(message.id)
    if ('result' in message) return waiter?.resolve(message.result)
    this.#told.delete(message.id)
    waiter?.reject(faultError(message.error))
  }

  #broken(why: string): void {
    this.#finish(new DirectorError('ERR_DIRECTOR_CONTROL_SOCKET', `the control socket was closed: ${why}`))
    this.#socket.destroy()
  }

  #finish(error: DirectorError): void {
    this.#end ??= error
    for (const { reject } of this.#waiters.values()) reject(error)
    this.#waiters.clear()
    this.#told.clear()
    for (const ended of this.#onEnd) ended(error)
    this.#onEnd.clear()
  }
}

function read(line: Buffer): ControlMessage | undefined {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'))
    const known = ['result', 'error', 'subscription']
    return typeof value === 'object' && value !== null && known.some((name) => name in value)
      ? (value as ControlMessage)
      : undefined
  } catch {
    return undefined
  }
}

function unreachable(path: string, cause: Error): DirectorError {
  const message = `control socket ${path}: ${cause.message}; is a director running, and is it yours?`
  return new DirectorError('ERR_DIRECTOR_CONTROL_SOCKET', message, { cause })
}

function lost(cause?: Error): DirectorError {
  const message = `the director closed the control socket${cause ? `: ${cause.message}` : ''}`
  return new DirectorError('ERR_DIRECTOR_CONTROL_SOCKET', message, { cause })
}

function tooLong(method: string): DirectorError {
  const message = `${method}: a request has at most ${REQUEST_OCTETS_MAX} octets; send fewer commands at once`
  return new DirectorError('ERR_DIRECTOR_CONTROL_REQUEST', message)
}
