// The package as its users get it: packed, looked over by publint, installed without install
// scripts into an empty project, its addon and command built from the packed sources, and used; then
// the same of what is prebuilt for this platform.
// Usage: node scripts/package.mjs
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { main, root, runQuietly, StepError } from './process.mjs'

const SMOKE = `
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Director, nativeInfo } from 'l4-director'
const director = Director.offline()
const web = director.addService({ protocol: 'tcp', address: '192.0.2.80', port: 80, scheduler: 'sh' })
web.addServer({ address: '10.0.0.11' })
const flow = { protocol: 'tcp', clientAddress: '198.51.100.7', clientPort: 1, virtualAddress: '192.0.2.80', virtualPort: 80 }
if (director.explain(flow).server.address !== '10.0.0.11') throw new Error('the flow went astray')
if (!nativeInfo().source.includes(process.env.SOURCE)) throw new Error('the addon comes from ' + nativeInfo().source)
const server = await director.serveControl(process.cwd() + '/control.sock')
const env = { ...process.env, L4_DIRECTOR_CONTROL: server.path }
const ipvsadm = (...args) => promisify(execFile)('node_modules/.bin/ipvsadm', args, { env })
await ipvsadm('-a', '-t', '192.0.2.80:80', '-r', '10.0.0.12', '-w', '2')
const { stdout, stderr } = await ipvsadm('-L', '-n')
const listed = stdout.split('\\n').slice(3).map((line) => line.trim().split(/ +/).slice(0, 4).join(' '))
const expected = ['TCP 192.0.2.80:80 sh', '-> 10.0.0.11:80 Route 1', '-> 10.0.0.12:80 Route 2', '']
if (listed.join() !== expected.join() || stderr !== '') throw new Error('ipvsadm: ' + stdout + stderr)
await server.close()
`

const WITHOUT_ADDON = `
import { Director, isDirectorError } from 'l4-director'
try { Director.offline() } catch (error) {
  if (isDirectorError(error) && error.code === 'ERR_DIRECTOR_NATIVE_NOT_FOUND') process.exit(0)
}
throw new Error('there was to be no addon')
`

const inFolder = (cwd, env = {}) => ({ cwd, env: { ...process.env, ...env } })

/** Packs what is in a folder; answers with the tarball. */
function pack(folder, project) {
  const before = readdirSync(project)
  runQuietly('npm', ['pack', folder, '--pack-destination', project, '--loglevel=error'], inFolder(project))
  const made = readdirSync(project).find((name) => name.endsWith('.tgz') && !before.includes(name))
  return join(project, made)
}

function install(tarball, project) {
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--offline', '--loglevel=error']
  runQuietly('npm', ['install', ...options, tarball], inFolder(project))
}

/** Runs a program in the project; `SOURCE` is a part of where the addon is to come from. */
function runProgram(program, project, SOURCE = '') {
  runQuietly(process.execPath, ['--input-type=module', '-e', program], inFolder(project, { SOURCE }))
}

/** The starter without anything to start: ipvsadm's status without IPVS, and what to do. */
function checkUnbuilt(project) {
  const { status, stdout, stderr } = spawnSync('node_modules/.bin/ipvsadm', ['-L', '-n'], {
    cwd: project,
    encoding: 'utf8',
  })
  if (status !== 2 || stdout !== '' || !/^Can't initialize ipvs: .*l4-director build/.test(stderr))
    throw new StepError(`ipvsadm that is not built: status ${status}, ${stdout}${stderr}`)
  runProgram(WITHOUT_ADDON, project)
}

/** Moves what was built into the package of this platform, which is installed, too. */
function checkPrebuilt(project) {
  const built = join(project, 'node_modules/l4-director/native/build')
  const folder = join(project, 'platform')
  runQuietly(process.execPath, [join(root, 'scripts/platform-package.mjs'), join(built, 'Release'), folder])
  rmSync(built, { recursive: true })
  install(pack(folder, project), project)
  runProgram(SMOKE, project, `l4-director-${process.platform}-${process.arch}`)
}

function check(project) {
  const tarball = pack(root, project)
  runQuietly(process.execPath, [join(root, 'node_modules/publint/src/cli.js'), 'run', tarball, '--strict'])
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  install(tarball, project)
  checkUnbuilt(project)
  // Not the checkout's own folder: cargo would take the packed sources for the checkout's.
  const environment = { CARGO_TARGET_DIR: join(root, 'target/package-build') }
  runQuietly('npx', ['--no-install', 'l4-director', 'build'], inFolder(project, environment))
  runProgram(SMOKE, project, 'node_modules/l4-director/native/build/Release')
  checkPrebuilt(project)
}

await main(() => {
  // Always the same folder, so that cargo knows what it compiled there before.
  const project = join(root, 'target/package')
  rmSync(project, { recursive: true, force: true })
  mkdirSync(project, { recursive: true })
  check(project)
})
