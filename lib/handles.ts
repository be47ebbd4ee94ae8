import { forget, identityOf, serviceText, splitPort } from './address.js'
import type { Command, ServiceKey } from './command.js'
import type { Configurator } from './configurator.js'
import { RealServer } from './real-server.js'
import { VirtualService } from './virtual-service.js'

interface Family {
  readonly service: VirtualService
  readonly servers: Map<string, RealServer>
}

/** One handle for each thing that is configured, for as long as it is. */
export class Handles {
  readonly #configurator: Configurator
  readonly #families = new Map<string, Family>()

  constructor(configurator: Configurator) {
    this.#configurator = configurator
  }

  /** The handle of a service. */
  service(key: ServiceKey): VirtualService {
    return this.#family(key).service
  }

  /** The handle of a server, by its address and port as text. */
  server(service: ServiceKey, server: string): RealServer {
    const { servers } = this.#family(service)
    const { address, port } = splitPort(server)
    const handle =
      servers.get(server) ?? new RealServer(this.#configurator, identityOf(service), address, port)
    servers.set(server, handle)
    return handle
  }

  /** Forgets the handles of what accepted commands removed. */
  follow(commands: readonly Command[]): void {
    for (const command of commands) {
      if (command.type === 'clear') this.#families.clear()
      else if (command.type === 'remove-service') this.#families.delete(serviceText(command.service))
      else if (command.type === 'remove-server') {
        const { service, server } = command
        forget(this.#families.get(serviceText(service))?.servers, service, server)
      }
    }
  }

  #family(key: ServiceKey): Family {
    const name = serviceText(key)
    const known = this.#families.get(name)
    if (known) return known
    const made = { service: new VirtualService(this.#configurator, identityOf(key)), servers: new Map() }
    this.#families.set(name, made)
    return made
  }
}
