import { forget, serviceText } from './address.js'
import type { Command, ServiceKey } from './command.js'

/** The weights that `pause()` took away, for as long as nothing else decided about the server. */
export class PausedWeights {
  readonly #services = new Map<string, Map<string, number>>()

  /** Whether a weight is remembered. */
  has(service: ServiceKey, server: string): boolean {
    return this.recall(service, server) !== undefined
  }

  /** The remembered weight. */
  recall(service: ServiceKey, server: string): number | undefined {
    return this.#services.get(serviceText(service))?.get(server)
  }

  /** Remembers a weight. */
  remember(service: ServiceKey, server: string, weight: number): void {
    const name = serviceText(service)
    const servers = this.#services.get(name) ?? new Map<string, number>()
    this.#services.set(name, servers.set(server, weight))
  }

  /** Forgets what accepted commands made meaningless. */
  follow(commands: readonly Command[]): void {
    for (const command of commands) {
      if (command.type === 'clear') this.#services.clear()
      else if (command.type === 'remove-service') this.#services.delete(serviceText(command.service))
      else if ('server' in command && !quiesces(command)) {
        const { service, server } = command
        forget(this.#services.get(serviceText(service)), service, server)
      }
    }
  }
}

/** Whether a command leaves or makes a server's weight 0. */
export function quiesces(command: Command): boolean {
  if (command.type === 'set-weight') return command.weight === 0
  return command.type === 'edit-server' && command.server.weight === 0
}
