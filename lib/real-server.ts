import { canonicalAddress, joinPort, serviceText } from './address.js'
import type { Command, ServerSpec, ServiceKey, Tunnel, TunnelConfiguration } from './command.js'
import type { Configurator } from './configurator.js'
import type { DrainOptions } from './drain.js'
import { DirectorError } from './errors.js'
import { checked } from './options/check.js'
import { Problems } from './options/problems.js'
import type { ServerEdit } from './options/server.js'
import { serverEdit, weight as weightCheck } from './options/server.js'
import type { ServerConfiguration } from './snapshot.js'

/** The options that give a tunnel as it is configured. */
function tunnelOptions({ type, port, checksum }: TunnelConfiguration): Tunnel {
  return { type, checksum, ...(port !== null && { port }) }
}

/**
 * A real server of one virtual service. It is a handle: it holds no state of its own, and after the
 * server was removed every method but the getters of identity throws `ERR_DIRECTOR_SERVER_NOT_FOUND`.
 */
export class RealServer {
  /** Identity of the service. */
  readonly service: ServiceKey
  /** Address. */
  readonly address: string
  /** Port that it is spoken to; only with masquerading another than the service's. */
  readonly port: number
  readonly #configurator: Configurator

  /** @internal */
  constructor(configurator: Configurator, service: ServiceKey, address: string, port: number) {
    this.#configurator = configurator
    this.service = service
    this.address = canonicalAddress(address)
    this.port = port
  }

  /** Address and port as text, `10.0.0.11:80`, the way events and connections spell it. */
  get name(): string {
    return joinPort(this.address, this.port)
  }

  /**
   * What is configured now.
   *
   * @throws DirectorError `ERR_DIRECTOR_SERVER_NOT_FOUND`, `ERR_DIRECTOR_SERVICE_NOT_FOUND`
   */
  get configuration(): ServerConfiguration {
    const found = this.#configurator.serverConfiguration(this.service, this)
    if (found) return found
    const message = `${this.name} is not a server of ${serviceText(this.service)} any more`
    throw new DirectorError('ERR_DIRECTOR_SERVER_NOT_FOUND', message)
  }

  /** Relative share of new connections, 0 to 2147483647; 0 while quiesced. */
  get weight(): number {
    return this.configuration.weight
  }

  /** Whether `pause()` took the weight away and nothing gave it back since. */
  get paused(): boolean {
    return this.#configurator.pausedWeights.has(this.service, this.name)
  }

  /**
   * Changes the server; what is absent stays as it is.
   *
   * @throws DirectorError with all problems as `issues`, and then nothing has changed
   */
  edit(changes: ServerEdit): this {
    const edit = checked(serverEdit, changes, new Problems())
    const { weight, forwarding, tunnel, upperThreshold, lowerThreshold } = this.configuration
    const now: ServerSpec = { ...this.#key(), weight, forwarding, upperThreshold, lowerThreshold }
    // Another forwarding method leaves the tunnel behind.
    const tunnels = (edit.forwarding ?? forwarding) === 'tunnelling'
    const kept = tunnels && tunnel ? { tunnel: tunnelOptions(tunnel) } : {}
    this.#apply({ type: 'edit-server', service: this.service, server: { ...now, ...kept, ...edit } })
    return this
  }

  /**
   * Sets the weight, 0 to 2147483647; 0 quiesces: connections go on, new ones go elsewhere.
   *
   * @throws DirectorError `ERR_DIRECTOR_OUT_OF_RANGE`, `ERR_DIRECTOR_SERVER_NOT_FOUND`
   */
  setWeight(weight: number): this {
    checked(weightCheck, weight, new Problems(), 'weight')
    this.#apply({ type: 'set-weight', service: this.service, server: this.#key(), weight })
    return this
  }

  /**
   * Quiesces the server by weight 0 and remembers the weight for `resume()`. Its connections go on;
   * new ones go elsewhere; with `sh` and `mh` only if the service has the flag `sh-fallback` or
   * `mh-fallback`, and they are refused otherwise, as with `dh`.
   * A server that is quiesced already stays as it is.
   *
   * @throws DirectorError `ERR_DIRECTOR_SERVER_NOT_FOUND`
   */
  pause(): this {
    const { weight } = this.configuration
    if (weight === 0) return this
    this.setWeight(0)
    this.#configurator.pausedWeights.remember(this.service, this.name, weight)
    return this
  }

  /**
   * Gives back the weight that `pause()` took. A server that has a weight stays as it is.
   *
   * @throws DirectorError `ERR_DIRECTOR_INVALID_COMBINATION` when the weight is 0 but not by `pause()`
   */
  resume(): this {
    if (this.weight > 0) return this
    const weight = this.#configurator.pausedWeights.recall(this.service, this.name)
    if (weight !== undefined) return this.setWeight(weight)
    const message = `${this.name} was not paused by pause(), so no weight is remembered; use setWeight()`
    throw new DirectorError('ERR_DIRECTOR_INVALID_COMBINATION', message)
  }

  /**
   * Removes the server from its service. Its connections end as IPVS ends them: their packets are
   * dropped, or rescheduled where `expireNodestConn` says so. To let them finish, `pause()` and wait
   * for `drained()` first.
   *
   * @throws DirectorError `ERR_DIRECTOR_SERVER_NOT_FOUND`
   */
  remove(): void {
    this.#apply({ type: 'remove-server', service: this.service, server: this.#key() })
  }

  /**
   * Resolves when the server has no connections left. It does not pause: while the weight is above 0
   * new connections may come for ever.
   *
   * @throws DirectorError `ERR_DIRECTOR_ABORTED`, `ERR_DIRECTOR_CLOSED`, `ERR_DIRECTOR_SERVER_NOT_FOUND`
   */
  drained(options: DrainOptions = {}): Promise<void> {
    return this.#configurator.drained(this.service, this.name, options)
  }

  #apply(command: Command): void {
    this.#configurator.apply([command], [''])
  }

  #key(): { address: string; port: number } | { address: string } {
    return this.port === 0 ? { address: this.address } : { address: this.address, port: this.port }
  }
}
