import { serverText, serviceText } from './address.js'
import type { ServiceKey, ServiceSpec } from './command.js'
import type { Configurator } from './configurator.js'
import { DirectorError } from './errors.js'
import { checked } from './options/check.js'
import { Problems } from './options/problems.js'
import { serverSpec } from './options/server.js'
import type { ServerOptions } from './options/server.js'
import { serviceEdit } from './options/service.js'
import type { ServiceEdit } from './options/service.js'
import type { RealServer } from './real-server.js'
import type { ServiceConfiguration } from './snapshot.js'

/**
 * A virtual service of a director. It is a handle: it holds no state of its own, and after the
 * service was removed every method but `key` and `name` throws `ERR_DIRECTOR_SERVICE_NOT_FOUND`.
 */
export class VirtualService {
  /** Identity. */
  readonly key: ServiceKey
  readonly #configurator: Configurator

  /** @internal */
  constructor(configurator: Configurator, key: ServiceKey) {
    this.#configurator = configurator
    this.key = key
  }

  /** Identity as text, `tcp 192.0.2.80:80`. */
  get name(): string {
    return serviceText(this.key)
  }

  /**
   * What is configured now.
   *
   * @throws DirectorError `ERR_DIRECTOR_SERVICE_NOT_FOUND`
   */
  get configuration(): ServiceConfiguration {
    const found = this.#configurator.serviceConfiguration(this.key)
    if (found) return found
    throw new DirectorError('ERR_DIRECTOR_SERVICE_NOT_FOUND', `there is no service ${this.name} any more`)
  }

  /** The real servers in list order: the newest first, as schedulers walk them. */
  get servers(): readonly RealServer[] {
    return this.#configurator.servers(this.key)
  }

  /**
   * Changes the service; what is absent stays as it is, except that another scheduler starts without
   * flags. `null` takes a setting away. Connections and servers stay.
   *
   * @throws DirectorError with all problems as `issues`, and then nothing has changed
   */
  edit(changes: ServiceEdit): this {
    const edit = checked(serviceEdit, changes, new Problems())
    const now = this.configuration
    const flags = edit.scheduler !== undefined && edit.scheduler !== now.scheduler ? { flags: [] } : {}
    const { scheduler, sloppy, persistence, persistenceEngine, ...kept } = { ...now, ...flags, ...edit }
    const service: ServiceSpec = {
      ...this.key,
      flags: kept.flags,
      onePacket: kept.onePacket,
      ...(scheduler === null ? {} : { scheduler }),
      ...(sloppy === null ? {} : { sloppy }),
      ...(persistence === null ? {} : { persistence }),
      ...(persistenceEngine === null ? {} : { persistenceEngine }),
    }
    this.#configurator.apply([{ type: 'edit-service', service }], [''])
    return this
  }

  /**
   * Removes the service with its servers.
   *
   * @throws DirectorError `ERR_DIRECTOR_SERVICE_NOT_FOUND`
   */
  remove(): void {
    this.#configurator.apply([{ type: 'remove-service', service: this.key }], [''])
  }

  /**
   * Adds a real server at the head of the list, as `ipvsadm -a` does.
   *
   * @throws DirectorError with all problems as `issues`, and then nothing has changed:
   * `ERR_DIRECTOR_SERVER_EXISTS`, `ERR_DIRECTOR_FAMILY_MISMATCH`, `ERR_DIRECTOR_ADDRESS_CONFLICT`,
   * `ERR_DIRECTOR_OUT_OF_RANGE`, `ERR_DIRECTOR_INVALID_ADDRESS`, `ERR_DIRECTOR_INVALID_OPTIONS`
   */
  addServer(options: ServerOptions): RealServer {
    const server = checked(serverSpec, options, new Problems())
    this.#configurator.apply([{ type: 'add-server', service: this.key, server }], [''])
    return this.#configurator.handles.server(this.key, serverText(this.key, server))
  }

  /** The real server with this address and port (default: the service's port), if there is one. */
  server(address: string, port?: number): RealServer | undefined {
    return this.#configurator.server(this.key, port === undefined ? { address } : { address, port })
  }
}
