import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { CoreAddon } from './binding/core.js'
import { DirectorError } from './errors.js'

const require = createRequire(import.meta.url)
const BUILDS = ['../native/build/Release/director.node', '../native/build/Debug/director.node']

/** Where the native addon was found. */
export interface NativeInfo {
  /** Path or package name that it was loaded from. */
  readonly source: string
  /** Its version, which is that of this package. */
  readonly version: string
}

interface Loaded extends NativeInfo {
  readonly addon: CoreAddon
}

let loaded: Loaded | undefined

/** Version of this package. */
export function packageVersion(): string {
  return String(require('../package.json').version)
}

/** Name of the package that has what is prebuilt for this platform. */
export function platformPackage(): string {
  return `l4-director-${process.platform}-${process.arch}${process.platform === 'linux' ? '-gnu' : ''}`
}

/** The places to look in, in their order; `DIRECTOR_NATIVE_PATH` rules out all others. */
function candidates(): string[] {
  const given = process.env['DIRECTOR_NATIVE_PATH']
  if (given) return [given]
  const built = BUILDS.map((path) => fileURLToPath(new URL(path, import.meta.url)))
  return [...built, platformPackage()]
}

function attempt(source: string): Loaded | string {
  const isPath = source.includes('/') || source.includes('\\')
  if (isPath && !existsSync(source)) return 'there is no such file'
  try {
    const addon = require(source) as CoreAddon
    const version = addon.version()
    if (version === packageVersion()) return { addon, source, version }
    return `it is version ${version}, this package is ${packageVersion()}`
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return 'this package is not installed'
    return error instanceof Error ? error.message : String(error)
  }
}

function load(): Loaded {
  const failures: string[] = []
  for (const source of candidates()) {
    const result = attempt(source)
    if (typeof result !== 'string') return result
    failures.push(`  ${source}: ${result}`)
  }
  const message = [
    `no native addon could be loaded for ${process.platform}-${process.arch}; tried`,
    ...failures,
    'build it from source with `npx l4-director build` (needs cargo, https://rustup.rs)',
  ].join('\n')
  throw new DirectorError('ERR_DIRECTOR_NATIVE_NOT_FOUND', message)
}

/**
 * The native addon, loaded at the first call: importing the package works where there is none.
 *
 * @throws DirectorError `ERR_DIRECTOR_NATIVE_NOT_FOUND` with each path tried, why it failed and what to do
 */
export function nativeAddon(): CoreAddon {
  loaded ??= load()
  return loaded.addon
}

/**
 * Where the native addon comes from.
 *
 * @throws DirectorError `ERR_DIRECTOR_NATIVE_NOT_FOUND`
 */
export function nativeInfo(): NativeInfo {
  loaded ??= load()
  return { source: loaded.source, version: loaded.version }
}
