import { existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CoreAddon } from './binding/core.js'
import { DirectorError } from './errors.js'
import { PACKAGE_VERSION, packagePlace, packageRequire } from './package.js'

const BUILDS = ['native/build/Release/director.node', 'native/build/Debug/director.node']

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

/** Name of the package that has what is prebuilt for this platform. */
export function platformPackage(): string {
  return `l4-director-${process.platform}-${process.arch}${process.platform === 'linux' ? '-gnu' : ''}`
}

/** The places to look in, in their order; `DIRECTOR_NATIVE_PATH` rules out all others. */
function candidates(): string[] {
  const given = process.env['DIRECTOR_NATIVE_PATH']
  if (given) return [givenSource(given)]
  const { root } = packagePlace()
  const built = root === undefined ? [] : BUILDS.map((path) => join(root, path))
  return [...built, platformPackage()]
}

/** A path is relative to the working folder, as everywhere on a command line; else it is a package's name. */
function givenSource(given: string): string {
  if (given.startsWith('file:')) return fileURLToPath(given)
  const path = resolve(given)
  return isPath(given) || existsSync(path) ? path : given
}

function isPath(source: string): boolean {
  return source.startsWith('.') || (source.includes('/') && !source.startsWith('@')) || source.includes('\\')
}

function attempt(source: string): Loaded | string {
  if (isPath(source)) {
    const found = statSync(source, { throwIfNoEntry: false })
    if (found === undefined) return 'there is no such file'
    if (found.isDirectory()) return 'it is a folder; name the file director.node in it'
  }
  try {
    const addon = packageRequire(source) as Partial<CoreAddon>
    const version = addon.version?.()
    if (version === undefined) return 'it is no addon of this package'
    if (version === PACKAGE_VERSION) return { addon: addon as CoreAddon, source, version }
    return `it is version ${version}, this package is ${PACKAGE_VERSION}`
  } catch (error) {
    return whyNotLoaded(source, error)
  }
}

/** Node says `MODULE_NOT_FOUND` also of a package that is there and lacks a file. */
function whyNotLoaded(source: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'MODULE_NOT_FOUND' && message.startsWith(`Cannot find module '${source}'`))
    return 'this package is not installed'
  return error instanceof Error ? (message.split('\n')[0] ?? message) : String(error)
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
    ...remedies(),
  ].join('\n')
  throw new DirectorError('ERR_DIRECTOR_NATIVE_NOT_FOUND', message)
}

/** In a bundle the addon is not missing but out of sight. */
function remedies(): string[] {
  const build = 'build it from source with `npx l4-director build` (needs cargo, https://rustup.rs)'
  const { bundle } = packagePlace()
  if (bundle === undefined) return [build]
  return [
    `this code was bundled into ${bundle}, and no bundle can contain the addon: leave the package outside`,
    '(esbuild: `--packages=external`; others: `l4-director` as external) and install it beside the bundle,',
    'or let DIRECTOR_NATIVE_PATH name director.node of the same version',
    `if it was never built, ${build}`,
  ]
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
