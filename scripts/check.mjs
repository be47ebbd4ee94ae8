// The checks beside the tests: format, lints, types, promises about the sources, the package.
// Usage: node scripts/check.mjs [CHECK...]
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { main, root, StepError } from './process.mjs'
import { setUp } from './set-up.mjs'

const bin = (path) => [process.execPath, join(root, 'node_modules', path)]
const script = (name) => [process.execPath, join(root, 'scripts', name)]
const tsc = (project) => [...bin('typescript/bin/tsc'), '-p', project]

const checks = {
  'cargo fmt': ['cargo', 'fmt', '--all', '--check'],
  clippy: ['cargo', 'clippy', '--workspace', '--all-targets', '--locked', '--quiet', '--', '-D', 'warnings'],
  'TypeScript strict': tsc('tsconfig.json'),
  oxlint: [...bin('oxlint/bin/oxlint'), '--deny-warnings'],
  prettier: [...bin('prettier/bin/prettier.cjs'), '--check', '--log-level=warn', '.'],
  no_std: script('no-std.mjs'),
  instructions: script('instructions.mjs'),
  'house rules': script('house-rules.mjs'),
  documents: [process.execPath, join(root, 'docs', 'check-facts.mjs')],
  'package and publint': script('package.mjs'),
}

/** Runs a check; its output is shown when it fails. */
function run(name, [command, ...args]) {
  const start = performance.now()
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  const passed = status === 0
  process.stdout.write(`${passed ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)\n`)
  if (!passed) process.stdout.write(`${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}\n`)
  return passed
}

await main(() => {
  const wanted = process.argv.slice(2)
  const unknown = wanted.filter((name) => !Object.hasOwn(checks, name))
  if (unknown.length > 0)
    throw new StepError(`no such check: ${unknown.join(', ')} (${Object.keys(checks).join(', ')})`)
  setUp()
  const chosen = Object.entries(checks).filter(([name]) => wanted.length === 0 || wanted.includes(name))
  const results = chosen.map(([name, command]) => run(name, command))
  const failed = results.filter((passed) => !passed).length
  process.stdout.write(`${results.length - failed} passed, ${failed} failed\n`)
  return failed > 0 ? 1 : 0
})
