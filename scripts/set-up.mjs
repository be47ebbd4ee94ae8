// Everything a fresh checkout needs before the demo or the tests can run; quick when all is fresh.
// Usage: node scripts/set-up.mjs
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { buildNative } from './build-native.mjs'
import { isFresh } from './fresh.mjs'
import { main, root, run, runQuietly } from './process.mjs'
import { requireNode, requireTools } from './tools.mjs'

const path = (name) => join(root, name)
const say = (text) => process.stdout.write(`${text}\n`)

function installPackages() {
  const stamp = path('node_modules/.l4-director-lock')
  const lock = createHash('sha256')
    .update(readFileSync(path('package-lock.json')))
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  if (!isFresh(path('node_modules/.package-lock.json'), [path('package-lock.json')])) {
    say('installing packages (npm ci)')
    run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
  }
  writeFileSync(stamp, lock)
}

/** Compiles lib/ to dist/, which is what the package's name leads to. */
export function buildDist() {
  const output = path('dist/index.js')
  if (isFresh(output, [path('lib'), path('tsconfig.json'), path('tsconfig.build.json')])) return
  say('compiling TypeScript')
  rmSync(path('dist'), { recursive: true, force: true })
  runQuietly(process.execPath, [path('node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'])
}

/** The programs that make traffic in the lab; cargo itself knows whether they are fresh. */
function buildPeers() {
  if (!existsSync(path('test/peers/Cargo.toml'))) return
  run('cargo', ['build', '--quiet', '--release', '--locked', '--manifest-path', 'test/peers/Cargo.toml'])
}

/** Checks tools, installs packages, builds the addon, the ipvsadm command, dist/ and the lab's peers. */
export function setUp() {
  requireNode()
  requireTools(['cargo', 'cc', 'ip', 'npm', 'sysctl', 'tc', 'unshare'])
  installPackages()
  if (buildNative()) say('native addon and ipvsadm built')
  buildDist()
  buildPeers()
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main(() => setUp())
