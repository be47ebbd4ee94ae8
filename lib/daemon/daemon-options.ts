import type { Check } from '../options/check.js'
import { flag, integer, object, oneOf, text } from '../options/check.js'
import { directorFields } from '../options/start.js'
import type { DirectorOptions } from '../options/start.js'

/** How a daemon ends. */
export interface DrainSettings {
  /** Seconds to wait for active connections to end, 0 to 86400. Default: 0, none are waited for. */
  readonly deadlineSeconds?: number
  /** Whether new connections are refused meanwhile. Default: false; in a group another director may not have them yet. */
  readonly refuseNew?: boolean
}

/** Files in the layout of `/proc/net/ip_vs` and `ip_vs_stats` that a daemon keeps up to date. */
export interface ProcSettings {
  /** Folder; the files are `net/ip_vs` and `net/ip_vs_stats` in it. */
  readonly path: string
  /** Seconds between two, 1 to 86400. Default: 10. */
  readonly intervalSeconds?: number
}

/** Levels of a log, the least important first. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const

/** Level of a line of the log. */
export type LogLevel = (typeof LOG_LEVELS)[number]

/** What a configuration file says. */
export interface DaemonOptions extends Omit<DirectorOptions, 'signal' | 'logger'> {
  /** Name of the schema, for editors. */
  readonly $schema?: string
  /** A file of saved rules (`ipvsadm -S`) that is carried out after `services`. Relative to this file. */
  readonly rules?: string
  /** How to end. */
  readonly drain?: DrainSettings
  /** Files for tools that read those of IPVS. Default: none. */
  readonly proc?: ProcSettings
  /** Least important lines to log. Default: `info`. */
  readonly logLevel?: LogLevel
}

const { signal: _signal, logger: _logger, ...fields } = directorFields

/** The content of a configuration file. */
export const daemonOptions: Check<DaemonOptions> = object<DaemonOptions>(
  {
    ...fields,
    $schema: text(0, 4096),
    rules: text(1, 4096),
    drain: object<DrainSettings>({ deadlineSeconds: integer(0, 86_400), refuseNew: flag }, []),
    proc: object<ProcSettings>({ path: text(1, 4096), intervalSeconds: integer(1, 86_400) }, ['path']),
    logLevel: oneOf(...LOG_LEVELS),
  },
  ['interfaces'],
)
