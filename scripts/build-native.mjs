// Builds the native addon, and the ipvsadm command beside it, from source: node-gyp drives cargo; cargo alone where node-gyp cannot work.
// Usage: node scripts/build-native.mjs [--debug] [--force]
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isFresh } from './fresh.mjs'
import { main, root, run } from './process.mjs'
import { hasTool, requireTools } from './tools.mjs'

const SOURCES = ['Cargo.toml', 'Cargo.lock', 'native', 'scripts/cargo-addon.mjs']

function nodeGyp() {
  try {
    return createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js')
  } catch {
    return undefined
  }
}

function buildWithNodeGyp(gyp, configuration) {
  const mode = configuration === 'Debug' ? '--debug' : '--release'
  const environment = { ...process.env }
  // A nodedir from somebody's npm settings would win over the argument.
  delete environment.npm_config_nodedir
  // The stub has no headers: the addon finds Node's functions at run time, so nothing is downloaded.
  const nodedir = `--nodedir=${join(root, 'native/gyp-stub')}`
  run(process.execPath, [gyp, 'rebuild', '-C', 'native', nodedir, mode, '--loglevel=error'], {
    env: environment,
  })
}

/** Builds addon and command unless they are newer than their sources. Answers with whether it built. */
export function buildNative({ configuration = 'Release', force = false } = {}) {
  const folder = join(root, 'native/build', configuration)
  const addon = join(folder, 'director.node')
  const sources = SOURCES.map((source) => join(root, source))
  const outputs = [addon, join(folder, 'ipvsadm')]
  if (!force && outputs.every((output) => isFresh(output, sources))) return false
  requireTools(['cargo', 'cc'])
  const gyp = hasTool('make') && hasTool('python3') ? nodeGyp() : undefined
  if (gyp && existsSync(join(root, 'native/binding.gyp'))) buildWithNodeGyp(gyp, configuration)
  else run(process.execPath, [join(root, 'scripts/cargo-addon.mjs'), addon, configuration])
  return true
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(() => {
    const configuration = process.argv.includes('--debug') ? 'Debug' : 'Release'
    const built = buildNative({ configuration, force: process.argv.includes('--force') })
    process.stdout.write(built ? 'native addon built\n' : 'native addon is fresh\n')
  })
}
