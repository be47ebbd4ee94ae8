// Builds the native addon and the `ipvsadm` command with cargo; puts the addon where it was asked
// for, and the command beside it.
// Usage: node scripts/cargo-addon.mjs OUTPUT [Release|Debug]
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, renameSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Runs cargo and answers with what it built: the path of the shared library, and of the command. */
function cargo(configuration) {
  const profile = configuration === 'Debug' ? [] : ['--release']
  const command = [
    'build',
    '--locked',
    '-p',
    'l4-director-binding',
    '-p',
    'l4-director-ipvsadm',
    '--message-format=json-render-diagnostics',
  ]
  const { status, stdout, error } = spawnSync('cargo', [...command, ...profile], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
  const artifacts = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
  const addon = artifacts.find(
    (artifact) => artifact.target?.name === 'director_binding' && artifact.filenames,
  )
  const library = addon.filenames.find((name) => /\.(so|dylib|dll)$/.test(name))
  const { executable } = artifacts.find(
    (artifact) => artifact.target?.name === 'ipvsadm' && artifact.executable,
  )
  return { library, executable }
}

/** By rename, so that a process that starts meanwhile never loads half a file. */
function put(built, target) {
  copyFileSync(built, `${target}.new`)
  renameSync(`${target}.new`, target)
}

const [output, configuration] = process.argv.slice(2)
const target = resolve(output)
const { library, executable } = cargo(configuration)
mkdirSync(dirname(target), { recursive: true })
put(executable, join(dirname(target), 'ipvsadm'))
put(library, target)
