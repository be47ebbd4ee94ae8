import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'

/** One line of a lab program: a JSON object that says what kind it is. */
export type Message = { readonly event: string; readonly [field: string]: unknown }

/** How a process ended. */
export interface Exit {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
}

const stderrLinesKept = 40

/** A program of the lab that speaks newline-delimited JSON on its standard streams. */
export class LabProcess {
  readonly name: string
  /** Settles when the process is gone and its output read to the end. */
  readonly exited: Promise<Exit>
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #listeners = new Set<(message: Message) => unknown>()
  readonly #stderr: string[] = []
  readonly #latest = new Map<string, Message>()
  #exit: Exit | undefined

  constructor(name: string, command: readonly string[], environment: NodeJS.ProcessEnv = {}) {
    const [program = '', ...rest] = command
    this.name = name
    this.#child = spawn(program, rest, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
      // Not in the terminal's foreground group: Ctrl-C is for the parent, which ends the lab.
      detached: true,
    })
    this.#child.stdin.on('error', () => undefined)
    createInterface(this.#child.stdout).on('line', (line) => this.#read(line))
    createInterface(this.#child.stderr).on('line', (line) => this.#keep(line))
    this.exited = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (status, signal) => {
        this.#exit = { status, signal }
        resolve(this.#exit)
      })
    })
    this.exited.catch(() => undefined)
  }

  /** Undefined once the process could not be started. */
  get pid(): number | undefined {
    return this.#child.pid
  }

  /** How it ended; undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#exit
  }

  /** What it last wrote to standard error. */
  get complaints(): string {
    return this.#stderr.join('\n')
  }

  /** The latest message of a kind. */
  latest(event: string): Message | undefined {
    return this.#latest.get(event)
  }

  /** Calls `listener` for every message from now on; the result stops that. */
  onMessage(listener: (message: Message) => unknown): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Resolves with the first message from now on that fits. Rejects when the process ends before,
   * or after `timeoutMs` (30 s).
   */
  waitFor(what: string, fits: (message: Message) => boolean, timeoutMs = 30_000): Promise<Message> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer)
        stop()
      }
      const fail = (how: string): void => {
        settle()
        reject(this.#failure(how))
      }
      const timer = setTimeout(() => fail(`did not report ${what} within ${timeoutMs} ms`), timeoutMs)
      const stop = this.onMessage((message) => {
        if (!fits(message)) return
        settle()
        resolve(message)
      })
      const gone = (): void => fail(`ended before it reported ${what}`)
      this.exited.then(gone, gone)
    })
  }

  /** The latest message of a kind, or the first one to come. */
  async message(event: string, timeoutMs?: number): Promise<Message> {
    return this.latest(event) ?? this.waitFor(event, (message) => message.event === event, timeoutMs)
  }

  /** Writes one JSON line to its standard input. */
  send(value: object): void {
    this.write(JSON.stringify(value))
  }

  /** Writes one line to its standard input. */
  write(line: string): void {
    this.#child.stdin.write(`${line}\n`)
  }

  /** Closes its standard input, which every lab program takes as the order to finish. */
  endInput(): void {
    this.#child.stdin.end()
  }

  /** Sends a signal and waits for the end. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Exit> {
    if (this.#exit === undefined) this.#child.kill(signal)
    return this.exited
  }

  #read(line: string): void {
    const message = parse(line)
    if (message === undefined) {
      this.#keep(line)
      return
    }
    this.#latest.set(message.event, message)
    for (const listener of this.#listeners) listener(message)
  }

  #keep(line: string): void {
    this.#stderr.push(line)
    if (this.#stderr.length > stderrLinesKept) this.#stderr.shift()
  }

  #failure(what: string): Error {
    const end = this.#exit
    const state = end === undefined ? '' : ` (status ${end.status}, signal ${end.signal})`
    const said = this.latest('error')?.['message'] ?? ''
    return new Error(`${this.name} ${what}${state}\n${String(said)}${this.complaints}`)
  }
}

function parse(line: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(line)
    const named = typeof value === 'object' && value !== null && 'event' in value
    return named && typeof value.event === 'string' ? (value as Message) : undefined
  } catch {
    return undefined
  }
}
