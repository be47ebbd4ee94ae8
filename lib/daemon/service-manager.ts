import { nativeAddon } from '../native.js'

/** Tells the service manager (systemd) what goes on, as `sd_notify(3)`; without one it does nothing. */
export class ServiceManager {
  readonly #socket: string | undefined
  readonly #watchdogMs: number | undefined
  readonly #failed: (why: string) => void
  #watchdog: NodeJS.Timeout | undefined

  /** Takes what the manager says in the environment; `failed` is told when it cannot be reached. */
  constructor(environment: NodeJS.ProcessEnv, failed: (why: string) => void) {
    const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID } = environment
    this.#socket = NOTIFY_SOCKET === '' ? undefined : NOTIFY_SOCKET
    const isOurs = WATCHDOG_PID === undefined || Number(WATCHDOG_PID) === process.pid
    const microseconds = Number(WATCHDOG_USEC)
    this.#watchdogMs = isOurs && microseconds > 0 ? microseconds / 2000 : undefined
    this.#failed = failed
  }

  /** The director forwards; `alive` is asked before each sign of life. */
  ready(alive: () => Promise<unknown>): void {
    this.#tell(`READY=1\nMAINPID=${process.pid}`)
    if (this.#watchdogMs === undefined || this.#watchdog !== undefined) return
    this.#watchdog = setInterval(() => void this.#sign(alive), this.#watchdogMs).unref()
  }

  /** A reload begins; `ready()` ends it. */
  reloading(): void {
    this.#tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`)
  }

  /** The daemon ends. */
  stopping(): void {
    this.#tell('STOPPING=1')
  }

  /** Says in a line what the daemon does. */
  status(text: string): void {
    this.#tell(`STATUS=${text.replaceAll('\n', ' ')}`)
  }

  /** No more signs of life. */
  close(): void {
    clearInterval(this.#watchdog)
  }

  /** A director whose workers do not answer gives no sign: the manager starts it anew. */
  async #sign(alive: () => Promise<unknown>): Promise<void> {
    const isAlive = await alive().then(
      () => true,
      () => false,
    )
    if (isAlive) this.#tell('WATCHDOG=1')
  }

  #tell(state: string): void {
    if (this.#socket === undefined) return
    try {
      nativeAddon().notify(this.#socket, state)
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error))
    }
  }
}
