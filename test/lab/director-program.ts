import { fileURLToPath } from 'node:url'

import type { Lab } from './topology.ts'
import type { Exit, LabProcess, Message } from './lab-process.ts'

const program = fileURLToPath(new URL('../../demo/director.ts', import.meta.url))
const tsx = fileURLToPath(import.meta.resolve('tsx'))

/** A director refused: with the code of its error, if it has one. */
export class DirectorRefusal extends Error {
  override readonly name = 'DirectorRefusal'
  readonly code: string | undefined

  constructor(director: string, details: Readonly<Record<string, unknown>>) {
    const code = typeof details['code'] === 'string' ? details['code'] : undefined
    super(`${director}: ${code === undefined ? '' : `${code} `}${String(details['message'])}`)
    this.code = code
  }
}

/** How to start a director's process. */
export interface StartOptions {
  /** Words to put before the program, to take privileges away for instance. */
  readonly through?: readonly string[]
}

function started({ event }: Message): boolean {
  return event === 'ready' || event === 'failed'
}

/** A director in a process of its own, inside its namespace. */
export class DirectorProgram {
  readonly index: number
  readonly process: LabProcess
  #requests = 0

  private constructor(index: number, process: LabProcess) {
    this.index = index
    this.process = process
  }

  /**
   * Starts a director with the options of `Director.start()`; resolves when it forwards.
   *
   * @throws DirectorRefusal when it would not start
   */
  static async start(
    lab: Lab,
    index: number,
    options: object,
    { through = [] }: StartOptions = {},
  ): Promise<DirectorProgram> {
    const command = [...through, process.execPath, '--import', tsx, program, JSON.stringify(options)]
    const child = lab.director(index).start(`director ${index}`, command)
    const first = await child.waitFor('that it is ready', started, 60_000)
    if (first.event === 'failed') {
      await child.exited
      throw new DirectorRefusal(child.name, first)
    }
    return new DirectorProgram(index, child)
  }

  /** Calls a method of the director's program and resolves with what it returned. */
  async call(method: string, parameters: object = {}, timeoutMs?: number): Promise<unknown> {
    const id = ++this.#requests
    const mine = (message: Message): boolean => message.event === 'reply' && message['id'] === id
    const reply = this.process.waitFor(`the end of ${method}`, mine, timeoutMs)
    this.process.send({ id, method, parameters })
    const { error, value } = await reply
    if (error !== undefined) throw new DirectorRefusal(this.process.name, error as Record<string, unknown>)
    return value
  }

  /** Ends it in order: the director is closed, its guard removed. */
  async close(): Promise<Exit> {
    this.process.endInput()
    return this.process.exited
  }

  /** Ends it as a crash would. */
  kill(): Promise<Exit> {
    return this.process.kill('SIGKILL')
  }
}
