// Builds the native addon with cargo and puts it where it was asked for.
// Usage: node scripts/cargo-addon.mjs OUTPUT [Release|Debug]
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, renameSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Runs cargo and answers with the path of the shared library that it built. */
function cargo(configuration) {
  const profile = configuration === 'Debug' ? [] : ['--release']
  const command = [
    'build',
    '--locked',
    '-p',
    'l4-director-binding',
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
  return addon.filenames.find((name) => /\.(so|dylib|dll)$/.test(name))
}

const [output, configuration] = process.argv.slice(2)
const target = resolve(output)
const library = cargo(configuration)
mkdirSync(dirname(target), { recursive: true })
// By rename, so that a process that starts meanwhile never loads half a file.
copyFileSync(library, `${target}.new`)
renameSync(`${target}.new`, target)
