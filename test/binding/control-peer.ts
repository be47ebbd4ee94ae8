import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ExecutionContext } from 'ava'
import type { ControlServer, OfflineDirector } from '../../lib/index.ts'
import { offlineWeb } from './web.ts'

/** A folder that is gone after the test. */
export function scratch(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'l4-control-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** An offline director with one service, and its control socket. */
export async function served(
  t: ExecutionContext,
): Promise<{ director: OfflineDirector; server: ControlServer }> {
  const { director } = offlineWeb()
  const server = await director.serveControl(join(scratch(t), 'control.sock'))
  t.teardown(() => server.close())
  return { director, server }
}

/** A client that knows nothing of the protocol but lines. */
export class RawPeer {
  readonly socket: Socket
  readonly #lines: AsyncIterator<string>

  constructor(path: string) {
    this.socket = connect(path)
    this.socket.on('error', () => undefined)
    this.#lines = createInterface({ input: this.socket, crlfDelay: Infinity })[Symbol.asyncIterator]()
  }

  /** Sends octets as they are. */
  send(octets: string | Buffer): void {
    this.socket.write(octets)
  }

  /** The next line; undefined at the end. */
  async line(): Promise<Record<string, unknown> | undefined> {
    const { value, done } = await this.#lines.next()
    return done ? undefined : JSON.parse(value)
  }

  /** Sends a request and answers with the next line. */
  async ask(method: string, params?: unknown, id = 1): Promise<Record<string, unknown> | undefined> {
    this.send(`${JSON.stringify({ version: 1, id, method, params })}\n`)
    return this.line()
  }

  /** Resolves when the server has closed the connection. */
  async closed(): Promise<void> {
    if (!this.socket.closed) await once(this.socket, 'close')
  }
}

/** A peer that is gone after the test. */
export function peer(t: ExecutionContext, server: ControlServer): RawPeer {
  const made = new RawPeer(server.path)
  t.teardown(() => made.socket.destroy())
  return made
}
