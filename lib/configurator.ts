import { identityOf, isMeant, serverText, serviceText } from './address.js'
import type { CoreControl } from './binding/core.js'
import { unwrap } from './binding/outcome.js'
import { textOf } from './binding/text.js'
import type { Command, ServerKey, ServiceKey } from './command.js'
import type { Configuration, ConfiguredService } from './configuration.js'
import { drainOptions } from './drain.js'
import type { DrainOptions } from './drain.js'
import { Handles } from './handles.js'
import { checked } from './options/check.js'
import { serverKey, serviceKey } from './options/key.js'
import { Problems } from './options/problems.js'
import { PausedWeights, quiesces } from './paused-weights.js'
import type { RealServer } from './real-server.js'
import type { ServerConfiguration, Version } from './snapshot.js'
import type { VirtualService } from './virtual-service.js'

/** What a director gives the configurator to work with. */
export interface ConfiguratorHost {
  /** The core; throws once the director is closed. */
  readonly core: () => CoreControl
  /** Called after each accepted batch, with the servers that it quiesced. */
  readonly changed: (quiesced: readonly RealServer[]) => void
  /** Waits for a server's connections to end. */
  readonly drained: (service: ServiceKey, server: string, options: DrainOptions) => Promise<void>
}

/** The configuration as the handles see it: every change is a command, every answer the core's. */
export class Configurator {
  /** Weights that `pause()` took away. */
  readonly pausedWeights: PausedWeights = new PausedWeights()
  readonly #host: ConfiguratorHost
  /** The handles that exist. */
  readonly handles: Handles = new Handles(this)
  #services: ReadonlyMap<string, ConfiguredService> | undefined

  constructor(host: ConfiguratorHost) {
    this.#host = host
  }

  /** Applies checked commands, all or none. `paths` says where each stands in the caller's options. */
  apply(commands: readonly Command[], paths?: readonly string[]): Version {
    const core = this.#host.core()
    const quiesced = this.#newlyQuiesced(commands)
    const version = unwrap(core.apply(textOf(commands)), paths)
    this.#services = undefined
    this.handles.follow(commands)
    this.pausedWeights.follow(commands)
    this.#host.changed(quiesced)
    return version
  }

  /** A service as configured. */
  serviceConfiguration(key: ServiceKey): ConfiguredService | undefined {
    return this.#read().get(serviceText(key))
  }

  /** A server as configured. */
  serverConfiguration(service: ServiceKey, server: ServerKey): ServerConfiguration | undefined {
    const configured = this.#read().get(serviceText(service))?.servers
    return configured?.find((one) => isMeant(service, server, one))
  }

  /** Handles of all services, in the order they were added. */
  services(): readonly VirtualService[] {
    return [...this.#read().values()].map((service) => this.handles.service(service))
  }

  /** Handle of a service that exists. */
  service(key: ServiceKey): VirtualService | undefined {
    const name = serviceText(checked(serviceKey, identityOf(key), new Problems()))
    return this.#read().has(name) ? this.handles.service(key) : undefined
  }

  /** Handles of a service's servers, in list order. */
  servers(service: ServiceKey): readonly RealServer[] {
    const servers = this.#read().get(serviceText(service))?.servers ?? []
    return servers.map((server) => this.handles.server(service, serverText(service, server)))
  }

  /** Handle of a server that exists. */
  server(service: ServiceKey, server: ServerKey): RealServer | undefined {
    const found = this.serverConfiguration(service, checked(serverKey, server, new Problems()))
    return found && this.handles.server(service, serverText(service, found))
  }

  /** Waits for the connections of a server, by its address and port as text, to end. */
  async drained(service: ServiceKey, server: string, options: DrainOptions): Promise<void> {
    const accepted = checked(drainOptions, options, new Problems())
    return this.#host.drained(service, server, accepted)
  }

  /** Servers with a weight that these commands would set to 0. */
  #newlyQuiesced(commands: readonly Command[]): RealServer[] {
    return commands.filter(quiesces).flatMap((command) => {
      if (!('server' in command)) return []
      const before = this.serverConfiguration(command.service, command.server)
      if (before === undefined || before.weight === 0) return []
      return [this.handles.server(command.service, serverText(command.service, before))]
    })
  }

  /** The configuration as the core has it now: whole, or of the services only one. */
  read(only: ServiceKey | null = null): Configuration {
    return unwrap(this.#host.core().configuration(textOf(only)))
  }

  #read(): ReadonlyMap<string, ConfiguredService> {
    this.#host.core()
    this.#services ??= new Map(this.read().services.map((service) => [serviceText(service), service]))
    return this.#services
  }
}
