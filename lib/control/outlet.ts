import type { Socket } from 'node:net'

/** Characters of what a reader subscribed to that may wait for it. */
const TOLD_MAX = 1 << 20
/** How long a reader may take for what waits. */
const READER_MS_MAX = 30_000

/** What goes to a client. A client that does not read is dropped: nobody waits for it. */
export class Outlet {
  readonly #socket: Socket
  readonly #slow: () => void
  #deadline: NodeJS.Timeout | undefined
  #drained: (() => void) | undefined
  #told = 0

  /** `slow` is called when a client was dropped because it did not read. */
  constructor(socket: Socket, slow: () => void) {
    this.#socket = socket
    this.#slow = slow
    socket.on('drain', () => this.#settle())
    socket.on('close', () => this.#settle())
  }

  /** Whether something waits for the reader. */
  get behind(): boolean {
    return this.#socket.writableNeedDrain
  }

  /** Sends an answer; resolves when the next one may be made. */
  async answer(line: string): Promise<void> {
    this.#write(line)
    if (!this.behind || this.#socket.destroyed) return
    await new Promise<void>((resolve) => {
      this.#drained = resolve
    })
  }

  /** Sends what was subscribed to. */
  tell(line: string): void {
    if (this.#told > 0 && this.#told + line.length > TOLD_MAX) return this.#drop()
    this.#told += line.length
    this.#write(line, () => {
      this.#told -= line.length
    })
  }

  #write(line: string, sent?: () => void): void {
    if (this.#socket.destroyed || this.#socket.write(line, sent)) return
    this.#deadline ??= setTimeout(() => this.#drop(), READER_MS_MAX).unref()
  }

  #drop(): void {
    if (this.#socket.destroyed) return
    this.#slow()
    this.#socket.destroy()
  }

  #settle(): void {
    clearTimeout(this.#deadline)
    this.#deadline = undefined
    this.#drained?.()
    this.#drained = undefined
  }
}
