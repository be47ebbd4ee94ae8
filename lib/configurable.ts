import type { Command, MarkMatch, ServiceKey } from './command.js'
import type { CoreControl } from './binding/core.js'
import { coreError, errorCode } from './binding/outcome.js'
import { valueOf } from './binding/text.js'
import type { JsonText } from './binding/text.js'
import { asDeclared } from './configuration.js'
import type { Configuration } from './configuration.js'
import { Configurator } from './configurator.js'
import type { ConnectionFilter, ConnectionPage } from './connection.js'
import { ControlServer } from './control/server.js'
import type { DrainOptions } from './drain.js'
import { Drains } from './drain.js'
import { GuardedEmitter } from './emitter.js'
import { DirectorError } from './errors.js'
import type { CoreEvent } from './events.js'
import type { Explanation, Flow } from './explanation.js'
import { checked } from './options/check.js'
import { commands as commandsCheck } from './options/command.js'
import { mark as markCheck } from './options/key.js'
import { markMatches } from './options/mark.js'
import { Problems } from './options/problems.js'
import { serviceOptions } from './options/service.js'
import type { ServiceOptions } from './options/service.js'
import { settings as settingsCheck } from './options/settings.js'
import { pushService } from './options/start.js'
import type { Batch } from './options/start.js'
import type { RealServer } from './real-server.js'
import type { Settings, SettingsPatch } from './settings.js'
import type { Statistics, Version } from './snapshot.js'
import type { VirtualService } from './virtual-service.js'

/**
 * What live and offline directors share: their configuration and their events. Every change is
 * applied whole or not at all, and a refusal tells all problems at once.
 */
export abstract class ConfigurableDirector extends GuardedEmitter {
  readonly #configurator: Configurator
  readonly #controls: ControlServer[] = []
  /** @internal */
  protected readonly drains: Drains = new Drains()

  /** @internal */
  protected constructor() {
    super()
    this.#configurator = new Configurator({
      core: () => this.core(),
      changed: (quiesced) => this.#changed(quiesced),
      drained: (service, server, options) => this.drainedWait(service, server, options),
    })
  }

  /**
   * The core; throws `ERR_DIRECTOR_CLOSED` once closed.
   *
   * @internal
   */
  protected abstract core(): CoreControl

  /** @internal */
  protected abstract drainedWait(service: ServiceKey, server: string, options: DrainOptions): Promise<void>

  /** All counters, now; of the services only those of one, if it is named. */
  abstract snapshot(service?: ServiceKey): Statistics | Promise<Statistics>

  /** Sets the traffic counters of a service, or of all, to zero. */
  abstract zero(service?: ServiceKey): void | Promise<void>

  /** Says where the next packet of a flow goes, and why. */
  abstract explain(flow: Flow): Explanation | Promise<Explanation>

  /** @internal */
  abstract connectionPage(
    filter: ConnectionFilter,
    cursor: number,
    limit: number,
  ): ConnectionPage | Promise<ConnectionPage>

  /** Everything that is configured: services with servers, settings, marks. */
  get configuration(): Configuration {
    return asDeclared(this.#configurator.read())
  }

  /** @internal */
  configurationOf(service: ServiceKey): Configuration {
    return asDeclared(this.#configurator.read(service))
  }

  /**
   * Opens a control socket (mode 0600) at a path, for `ControlClient` and for commands. That of a
   * director that died is replaced.
   *
   * @throws DirectorError `ERR_DIRECTOR_CONTROL_IN_USE`, `ERR_DIRECTOR_CONTROL_SOCKET`, `ERR_DIRECTOR_INVALID_OPTIONS`
   */
  async serveControl(path: string): Promise<ControlServer> {
    this.core()
    const server = await ControlServer.open(this, path)
    this.#controls.push(server)
    return server
  }

  /** Number and digest of the configuration in force. */
  get version(): Version {
    return this.#configurator.read().version
  }

  /** Global settings in force. */
  get settings(): Settings {
    return this.#configurator.read().settings
  }

  /** The virtual services, in the order they were added. */
  get services(): readonly VirtualService[] {
    return this.#configurator.services()
  }

  /** The virtual service of this identity, if there is one. */
  service(key: ServiceKey): VirtualService | undefined {
    return this.#configurator.service(key)
  }

  /**
   * Adds a virtual service, with the servers that the options list.
   *
   * @throws DirectorError with all problems as `issues`, and then nothing has changed:
   * `ERR_DIRECTOR_SERVICE_EXISTS`, `ERR_DIRECTOR_INVALID_OPTIONS`, `ERR_DIRECTOR_OUT_OF_RANGE`,
   * `ERR_DIRECTOR_INVALID_ADDRESS`, `ERR_DIRECTOR_INVALID_COMBINATION`, those of `addServer()`; live
   * also `ERR_DIRECTOR_SERVICE_IN_USE` and `ERR_DIRECTOR_GUARD_FAILED`
   */
  addService(options: ServiceOptions): VirtualService {
    const accepted = checked(serviceOptions, options, new Problems())
    const batch: Batch = { commands: [], paths: [] }
    pushService(batch, accepted, '')
    this.#configurator.apply(batch.commands, batch.paths)
    return this.#configurator.handles.service(accepted)
  }

  /**
   * Applies commands in their order, all or none.
   *
   * @throws DirectorError with all problems as `issues`; their fields begin with `commands[N]`
   */
  apply(commands: readonly Command[]): Version {
    const accepted = checked(commandsCheck, commands, new Problems(), 'commands')
    const paths = accepted.map((_, index) => `commands[${index}]`)
    return this.#configurator.apply(accepted, paths)
  }

  /**
   * Changes global settings; what is absent stays.
   *
   * @throws DirectorError `ERR_DIRECTOR_OUT_OF_RANGE`, `ERR_DIRECTOR_INVALID_OPTIONS`
   */
  set(settings: SettingsPatch): Version {
    const accepted = checked(settingsCheck, settings, new Problems())
    return this.#configurator.apply([{ type: 'settings', settings: accepted }], [''])
  }

  /**
   * Defines what carries a mark, in place of an earlier definition; no matches forget the mark.
   *
   * @throws DirectorError `ERR_DIRECTOR_OUT_OF_RANGE`, `ERR_DIRECTOR_INVALID_OPTIONS`, `ERR_DIRECTOR_INVALID_ADDRESS`
   */
  defineMark(mark: number, matches: readonly MarkMatch[]): Version {
    const problems = new Problems()
    const acceptedMark = markCheck(mark, 'mark', problems) ?? mark
    const accepted = checked(markMatches, matches, problems, 'matches')
    return this.#configurator.apply([{ type: 'define-mark', mark: acceptedMark, matches: accepted }], [''])
  }

  /** Removes all services; marks and settings stay (`ipvsadm -C`). */
  clear(): Version {
    return this.#configurator.apply([{ type: 'clear' }], [''])
  }

  /** @internal */
  protected async closeControls(): Promise<void> {
    await Promise.all(this.#controls.map((server) => server.close()))
  }

  /** @internal */
  protected begin(batch: Batch): void {
    if (batch.commands.length > 0) this.#configurator.apply(batch.commands, batch.paths)
  }

  /** @internal */
  protected tellAll(events: JsonText<CoreEvent[]> | null): void {
    for (const event of events === null ? [] : valueOf(events)) this.tellCore(event)
  }

  /** @internal */
  protected tellCore(event: CoreEvent): void {
    switch (event.type) {
      case 'adopted': {
        const { type: _, ...rest } = event
        return this.tell('adopted', rest)
      }
      case 'server-idle':
        return this.tell('serverDrained', { service: event.service, server: event.server })
      case 'interface-down':
        return this.tell('interfaceDown', { interface: event.interface, reason: event.reason })
      case 'interface-up':
        return this.tell('interfaceUp', { interface: event.interface })
      case 'recovered':
        return this.tell('recovered', { code: errorCode(event.code), message: event.message })
      case 'lost':
        return this.tell('eventsLost', { count: event.count })
      case 'error':
        return this.fail(coreError(event))
      case 'worker-fault':
        return this.fail(
          new DirectorError(errorCode('worker-fault'), `worker ${event.worker}: ${event.message}`),
        )
      default:
        return event satisfies never
    }
  }

  #changed(quiesced: readonly RealServer[]): void {
    for (const server of quiesced)
      this.tell('serverQuiesced', { service: server.service, server: server.name })
    this.tellAll(this.core().takeEvents())
  }
}
