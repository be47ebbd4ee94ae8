import { isDeepStrictEqual } from 'node:util'
import { identityOf, serviceText } from './address.js'
import type { Command, ServerKey, ServerSpec, ServiceKey, ServiceSpec } from './command.js'
import type { Configuration, ConfiguredService, MarkDefinition } from './configuration.js'
import type { ServiceOptions } from './options/service.js'
import type { CommonOptions } from './options/start.js'
import type { SettingsPatch } from './settings.js'
import type { ServerConfiguration } from './snapshot.js'

/**
 * The commands that lead from one configuration to another, to be applied as one batch. What is
 * equal in both is not touched: it keeps its connections, its counters and the scheduler's memory.
 * The lists of servers end up in the wanted order, so that directors whose configuration came about
 * differently place connections alike; for that, servers may be removed and added again at once,
 * which their connections outlast.
 */
export function difference(current: Configuration, wanted: Configuration): Command[] {
  const before = byName(current)
  const after = byName(wanted)
  const gone = [...before].filter(([name]) => !after.has(name))
  const kept = [...after].flatMap(([name, service]) => {
    const old = before.get(name)
    return old ? [betweenServices(old, service)] : []
  })
  const added = [...after].filter(([name]) => !before.has(name))
  return [
    // What goes, goes first: an address can be a server's in one and a service's in the other.
    ...gone.map(([, service]): Command => ({ type: 'remove-service', service: keyOf(service) })),
    ...kept.flatMap(({ removals }) => removals),
    ...settingsBetween(current, wanted),
    ...marksBetween(current.marks, wanted.marks),
    ...kept.flatMap(({ changes }) => changes),
    ...added.flatMap(([, service]) => wholeService(service)),
  ]
}

function byName({ services }: Configuration): Map<string, ConfiguredService> {
  return new Map(services.map((service) => [serviceText(keyOf(service)), service]))
}

const keyOf = (service: ConfiguredService): ServiceKey => identityOf(service)

interface Changes {
  readonly removals: readonly Command[]
  readonly changes: readonly Command[]
}

function betweenServices(old: ConfiguredService, wanted: ConfiguredService): Changes {
  const service = keyOf(wanted)
  const specs = [serviceSpec(old), serviceSpec(wanted)] as const
  const edit: Command[] = isDeepStrictEqual(...specs) ? [] : [{ type: 'edit-service', service: specs[1] }]
  const staying = longestTail(old.servers, wanted.servers)
  const known = new Map(old.servers.map((server) => [serverName(server), server]))
  const leaving = old.servers.filter((server) => !staying.has(serverName(server)))
  const coming = wanted.servers.filter((server) => !staying.has(serverName(server)))
  const edits = wanted.servers.flatMap((server): Command[] => {
    const before = staying.has(serverName(server)) ? known.get(serverName(server)) : undefined
    if (before === undefined || isDeepStrictEqual(before, server)) return []
    return [{ type: 'edit-server', service, server: serverSpec(server) }]
  })
  return {
    removals: leaving.map((server) => ({ type: 'remove-server', service, server: serverKey(server) })),
    changes: [...edit, ...edits, ...additions(service, coming)],
  }
}

/**
 * The servers that can stay where they are. Servers are added at the head of the list (IPVS), so
 * those that stay have to be its tail, in the order they have.
 */
function longestTail(
  old: readonly ServerConfiguration[],
  wanted: readonly ServerConfiguration[],
): ReadonlySet<string> {
  const names = old.map(serverName)
  const staying = new Set<string>()
  let end = names.length
  for (const server of wanted.toReversed()) {
    const place = names.lastIndexOf(serverName(server), end - 1)
    if (end === 0 || place < 0) break
    staying.add(serverName(server))
    end = place
  }
  return staying
}

function additions(service: ServiceKey, servers: readonly ServerConfiguration[]): Command[] {
  return servers
    .toReversed()
    .map((server): Command => ({ type: 'add-server', service, server: serverSpec(server) }))
}

function wholeService(service: ConfiguredService): Command[] {
  return [
    { type: 'add-service', service: serviceSpec(service) },
    ...additions(keyOf(service), service.servers),
  ]
}

function settingsBetween(current: Configuration, wanted: Configuration): Command[] {
  const names = Object.keys(wanted.settings) as (keyof Configuration['settings'])[]
  const changed = names.filter((name) => current.settings[name] !== wanted.settings[name])
  if (changed.length === 0) return []
  const settings: SettingsPatch = Object.fromEntries(changed.map((name) => [name, wanted.settings[name]]))
  return [{ type: 'settings', settings }]
}

function marksBetween(current: readonly MarkDefinition[], wanted: readonly MarkDefinition[]): Command[] {
  const define = (mark: number, matches: MarkDefinition['matches']): Command => ({
    type: 'define-mark',
    mark,
    matches,
  })
  const known = new Map(current.map(({ mark, matches }) => [mark, matches]))
  const named = new Set(wanted.map(({ mark }) => mark))
  const gone = current.filter(({ mark }) => !named.has(mark))
  const changed = wanted.filter(({ mark, matches }) => !isDeepStrictEqual(known.get(mark), matches))
  return [
    ...gone.map(({ mark }) => define(mark, [])),
    ...changed.map(({ mark, matches }) => define(mark, matches)),
  ]
}

/** The options that a director is started with to have a configuration. */
export function wholeOptions({ settings, marks, services }: Configuration): CommonOptions {
  const options = services.map(
    (service) =>
      Object.assign(serviceSpec(service), {
        servers: service.servers.toReversed().map(serverSpec),
      }) as ServiceOptions,
  )
  return { settings, marks, services: options }
}

/** A service as commands have it, without its servers. */
export function serviceSpec(service: ConfiguredService): ServiceSpec {
  const { scheduler, flags, sloppy, persistence, persistenceEngine, onePacket } = service
  return {
    ...keyOf(service),
    flags,
    onePacket,
    ...(scheduler !== null && { scheduler }),
    ...(sloppy !== null && { sloppy }),
    ...(persistence !== null && { persistence }),
    ...(persistenceEngine !== null && { persistenceEngine }),
  }
}

/** A server as commands have it. */
export function serverSpec(server: ServerConfiguration): ServerSpec {
  const { weight, forwarding, tunnel, upperThreshold, lowerThreshold } = server
  const { type, port, checksum } = tunnel ?? {}
  const wrapping = { ...(type && { type }), ...(port && { port }), ...(checksum && { checksum }) }
  return {
    ...serverKey(server),
    weight,
    forwarding,
    ...(tunnel && { tunnel: wrapping }),
    upperThreshold,
    lowerThreshold,
  }
}

/** A server's identity; a port of 0 is that of the packet, which has no spelling but its absence. */
function serverKey({ address, port }: ServerConfiguration): ServerKey {
  return port === 0 ? { address } : { address, port }
}

const serverName = ({ address, port }: ServerConfiguration): string => `${address} ${port}`
