// The test suites: how each is run, how its counts are read, and when it could not run.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { whyNoNamespaces } from './namespaces.mjs'
import { root, tee } from './process.mjs'

const TSX = '--import=tsx'
const COLOURS = /\u001B\[[0-9;]*m/g

function sum(text, pattern) {
  return [...text.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0)
}

/** `test result: ok. 12 passed; 0 failed; 1 ignored; …`, one line for each test program. */
function cargoCounts(text) {
  return {
    passed: sum(text, /^test result: .*? (\d+) passed/gm),
    failed: sum(text, /^test result: .*?(\d+) failed/gm),
  }
}

/**
 * A tick before each test that passed, because ava leaves their number out when another failed; then
 * `1 test failed`, `1 uncaught exception`, at the end of the run.
 */
function avaCounts(text) {
  return {
    passed: [...text.matchAll(/^\s+✔ /gm)].length,
    failed: sum(
      text,
      /^\s+(\d+) (?:tests?|hooks?|known failures?|uncaught exceptions?|unhandled rejections?)(?: failed)?$/gm,
    ),
    skipped: sum(text, /^\s+(\d+) tests? (?:skipped|todo)/gm),
  }
}

/** The last `N passed, N failed` of a runner. */
function lastCounts(text) {
  const [last] = [...text.matchAll(/(\d+) passed, (\d+) failed/g)].slice(-1)
  return { passed: Number(last?.[1] ?? 0), failed: Number(last?.[2] ?? 0) }
}

/** Turns a finished process into a result: a bad status without a counted failure is one failure. */
function result(name, { status, signal, output }, counts) {
  const { passed, failed, skipped = 0 } = counts(output.replaceAll(COLOURS, ''))
  const unexplained = status !== 0 && failed === 0
  const why = unexplained ? `ended with ${signal ?? `status ${status}`}` : undefined
  if (skipped > 0) return { name, passed, failed, couldNotRun: `${skipped} tests were skipped` }
  if (status === 0 && passed === 0) return { name, passed, failed, couldNotRun: 'it has no tests' }
  return { name, passed, failed: unexplained ? 1 : failed, why }
}

function hasTests(folder) {
  const path = join(root, folder)
  return existsSync(path) && readdirSync(path, { recursive: true }).some((name) => name.endsWith('.test.ts'))
}

async function ava(name, folders, args = []) {
  const present = folders.filter(hasTests)
  if (present.length === 0) return { name, passed: 0, failed: 0, couldNotRun: 'it has no tests' }
  const cli = join(root, 'node_modules/ava/entrypoints/cli.mjs')
  const patterns = present.map((folder) => `${folder}/**/*.test.ts`)
  return result(name, await tee(process.execPath, [cli, ...args, ...patterns]), avaCounts)
}

async function rust() {
  const args = ['test', '--workspace', '--locked', '--no-fail-fast']
  return result('rust', await tee('cargo', args), cargoCounts)
}

async function conformance() {
  const main = join(root, 'test/conformance/main.ts')
  if (!existsSync(main)) return { name: 'conformance', passed: 0, failed: 0, couldNotRun: 'no runner' }
  return result('conformance', await tee(process.execPath, [TSX, main]), lastCounts)
}

async function types() {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const ended = await tee(process.execPath, [tsc, '-p', 'test/types/tsconfig.json'])
  return { name: 'types', passed: ended.status === 0 ? 1 : 0, failed: ended.status === 0 ? 0 : 1 }
}

async function endToEnd() {
  const couldNotRun = whyNoNamespaces()
  if (couldNotRun) return { name: 'e2e', passed: 0, failed: 0, couldNotRun }
  return ava('e2e', ['test/e2e'], ['--serial', '--concurrency=1'])
}

/** The suites by name, cheapest first. */
export const suites = {
  types,
  rust,
  conformance,
  unit: () => ava('unit', ['test/unit']),
  binding: () => ava('binding', ['test/binding']),
  e2e: endToEnd,
}
