// The package as its users get it: packed, looked over by publint, installed without install
// scripts into an empty project, its addon built from the packed sources, and used.
// Usage: node scripts/package.mjs
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { main, root, runQuietly } from './process.mjs'

const SMOKE = `
import { Director, nativeInfo } from 'l4-director'
const director = Director.offline()
const web = director.addService({ protocol: 'tcp', address: '192.0.2.80', port: 80, scheduler: 'sh' })
web.addServer({ address: '10.0.0.11' })
const flow = { protocol: 'tcp', clientAddress: '198.51.100.7', clientPort: 1, virtualAddress: '192.0.2.80', virtualPort: 80 }
if (director.explain(flow).server.address !== '10.0.0.11') throw new Error('the flow went astray')
if (!nativeInfo().source.includes('node_modules')) throw new Error('the addon is not that of the package')
`

const WITHOUT_ADDON = `
import { Director, isDirectorError } from 'l4-director'
try { Director.offline() } catch (error) {
  if (isDirectorError(error) && error.code === 'ERR_DIRECTOR_NATIVE_NOT_FOUND') process.exit(0)
}
throw new Error('there was to be no addon')
`

function check(project) {
  const inProject = { cwd: project }
  runQuietly('npm', ['pack', '--pack-destination', project, '--loglevel=error'])
  const tarball = join(
    project,
    readdirSync(project).find((name) => name.endsWith('.tgz')),
  )
  runQuietly(process.execPath, [join(root, 'node_modules/publint/src/cli.js'), 'run', tarball, '--strict'])
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  const install = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--offline', '--loglevel=error']
  runQuietly('npm', [...install, tarball], inProject)
  runQuietly(process.execPath, ['--input-type=module', '-e', WITHOUT_ADDON], inProject)
  // Not the checkout's own folder: cargo would take the packed sources for the checkout's.
  const env = { ...process.env, CARGO_TARGET_DIR: join(root, 'target/package-build') }
  runQuietly('npx', ['--no-install', 'l4-director', 'build'], { ...inProject, env })
  runQuietly(process.execPath, ['--input-type=module', '-e', SMOKE], inProject)
}

await main(() => {
  // Always the same folder, so that cargo knows what it compiled there before.
  const project = join(root, 'target/package')
  rmSync(project, { recursive: true, force: true })
  mkdirSync(project, { recursive: true })
  check(project)
})
