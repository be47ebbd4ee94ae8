import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Configuration } from '../configuration.js'
import { DirectorError, errorOfIssues, isDirectorError } from '../errors.js'
import type { Issue } from '../errors.js'
import { OfflineDirector } from '../offline-director.js'
import { Problems } from '../options/problems.js'
import { checkSloppy } from '../options/start.js'
import { daemonOptions } from './daemon-options.js'
import type { DaemonOptions } from './daemon-options.js'
import { jsonLines, lineAt } from './json-lines.js'
import { restoreRules } from './rules.js'
import type { RuleProblem } from './rules.js'

/** Entries of the table of the director that only checks a configuration. */
const CONNECTIONS_MIN = 1024

/** Saved rules (`ipvsadm -S`) that are the whole configuration, but for what rules do not say. */
export interface RulesSource {
  /** The file of rules. */
  readonly rules: string
  /** Network interfaces, as `interfaces` of a configuration file. */
  readonly interfaces: readonly string[]
  /** Control socket, as `control` of a configuration file. */
  readonly control?: string
}

/** Where a configuration is: a configuration file, or saved rules alone. */
export type ConfigurationSource = string | RulesSource

/** The file that people change to change the configuration. */
export function fileOf(source: ConfigurationSource): string {
  return typeof source === 'string' ? source : source.rules
}

/** A configuration file that was found good. */
export interface ConfigurationFile {
  /** What it says. */
  readonly options: DaemonOptions
  /** What a director that is started with it has configured. */
  readonly configuration: Configuration
}

/** A problem, and where it stands. */
export interface FileIssue extends Issue {
  /** Line, from 1. */
  readonly line: number
}

/** What is wrong with a configuration file: `issues` have lines, too. */
export class ConfigurationFileError extends DirectorError {
  /** The file. */
  readonly file: string
  declare readonly issues: readonly FileIssue[]

  /** Makes an error. */
  constructor(file: string, issues: readonly FileIssue[]) {
    const { code } = errorOfIssues(issues)
    const lines = issues.map(
      ({ line, field, message }) => `${file}:${line}: ${field && `${field}: `}${message}`,
    )
    super(code, lines.join('\n'), { issues })
    this.file = file
  }
}

/**
 * Reads and checks a configuration, down to what only the engine knows, and the saved rules that it
 * names.
 *
 * @throws ConfigurationFileError with all problems of the file, or of its rules; DirectorError
 */
export async function readConfiguration(source: ConfigurationSource): Promise<ConfigurationFile> {
  const isFile = typeof source === 'string'
  const file = isFile ? source : 'command line'
  const options = isFile ? read(source) : JSON.stringify({ ...source, rules: resolve(source.rules) })
  const checked = checkConfiguration(file, options)
  const { rules } = checked.options
  if (rules === undefined) return checked
  const path = resolve(dirname(file), rules)
  const director = offline(checked.options)
  const refused = await restored(director, path, () => offline(checked.options))
  if (refused.length > 0) throw new ConfigurationFileError(path, refused.map(issueOf))
  return { ...checked, configuration: director.configuration }
}

/** As `readConfiguration()`, of a text, and without the rules. */
export function checkConfiguration(file: string, source: string): ConfigurationFile {
  const value = parse(file, source)
  const { lineOf, twice } = jsonLines(source)
  const problems = new Problems()
  for (const field of twice)
    problems.add('ERR_DIRECTOR_INVALID_OPTIONS', field, undefined, 'occurs twice in one object; keep one')
  const options = daemonOptions(value, '', problems)
  checkSloppy(options, problems)
  const refuse = (issues: readonly Issue[]): ConfigurationFileError =>
    new ConfigurationFileError(
      file,
      issues.map((issue) => ({ ...issue, line: lineOf(issue.field) })),
    )
  if (options === undefined || problems.issues.length > 0) throw refuse(problems.issues)
  try {
    return { options, configuration: offline(options).configuration }
  } catch (error) {
    throw isDirectorError(error) && error.issues.length > 0 ? refuse(error.issues) : error
  }
}

/** The engine itself says what becomes of the options, and what is wrong with them. */
function offline({ sloppy, settings, marks, services }: DaemonOptions): OfflineDirector {
  const given = Object.entries({ sloppy, settings, marks, services }).filter(
    ([, value]) => value !== undefined,
  )
  return new OfflineDirector({ ...Object.fromEntries(given), connections: CONNECTIONS_MIN })
}

async function restored(...args: Parameters<typeof restoreRules>): Promise<RuleProblem[]> {
  try {
    return await restoreRules(...args)
  } catch (error) {
    if (isDirectorError(error)) throw error
    throw whole(args[1], 1, messageOf(error))
  }
}

function issueOf({ line, message }: RuleProblem): FileIssue {
  return { code: 'ERR_DIRECTOR_INVALID_OPTIONS', field: '', value: undefined, message, line }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw whole(file, 1, messageOf(cause))
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function parse(file: string, source: string): unknown {
  try {
    return JSON.parse(source)
  } catch (cause) {
    const message = messageOf(cause)
    const [, position] = /at position (\d+)/.exec(message) ?? []
    throw whole(file, lineAt(source, position === undefined ? source.length : Number(position)), message)
  }
}

function whole(file: string, line: number, message: string): ConfigurationFileError {
  const issue = { code: 'ERR_DIRECTOR_INVALID_OPTIONS', field: '', value: undefined, message, line } as const
  return new ConfigurationFileError(file, [issue])
}
