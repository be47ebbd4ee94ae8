import type { MarkMatch } from './command.js'
import type { Settings } from './settings.js'
import type { ServerConfiguration, ServiceConfiguration, Version } from './snapshot.js'

/** A virtual service as configured, with its servers. */
export type ConfiguredService = ServiceConfiguration & {
  /** Servers in list order: the newest first. */
  readonly servers: readonly ServerConfiguration[]
}

/** What carries a mark. */
export interface MarkDefinition {
  /** The mark. */
  readonly mark: number
  /** Packets that fit any of these carry it. */
  readonly matches: readonly MarkMatch[]
}

/** Everything that is configured, at one moment. */
export interface Configuration {
  /** Its number and digest. */
  readonly version: Version
  /** Services, in the order they were added. */
  readonly services: readonly ConfiguredService[]
  /** Global settings. */
  readonly settings: Settings
  /** What carries which mark. */
  readonly marks: readonly MarkDefinition[]
}

/** The core's configuration with what is absent left out, where its type says so. */
export function asDeclared(configuration: Configuration): Configuration {
  return {
    ...configuration,
    services: configuration.services.map((service) =>
      service.persistence === null ? service : { ...service, persistence: present(service.persistence) },
    ),
    marks: configuration.marks.map(({ mark, matches }) => ({ mark, matches: matches.map(present) })),
  }
}

function present<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null)) as T
}
