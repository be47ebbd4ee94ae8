// Instructions that one frame costs on each hot path of the engine, counted by callgrind and
// compared with benchmarks/engine/instructions.json. The same compiler makes the same instructions on
// every machine of an architecture, so a difference is a change of the code.
// Usage: node scripts/instructions.mjs [--write]
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { main, root, runQuietly, StepError } from './process.mjs'

/** A path may cost this much more or less than the file says, in percent. */
const TOLERANCE = 2
/** What the second run does in addition is what this many frames cost. */
const FRAMES = 2000

const record = join(root, 'benchmarks/engine/instructions.json')
const folder = join(root, 'target/instructions')
const program = join(folder, 'release/instructions')
const rewrite = 'node scripts/instructions.mjs --write'

/** Runs a program; answers with what it wrote. */
function output(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', ...options })
  if (error?.code === 'ENOENT')
    throw new StepError(`${command} is needed (Debian: apt-get install ${command})`)
  if (error || status !== 0) throw new StepError(`${[command, ...args].join(' ')} failed: ${error ?? stderr}`)
  return { stdout, stderr }
}

function compiler() {
  const { stdout } = output('rustc', ['-vV'])
  const target = /^host: (.+)$/m.exec(stdout)[1]
  return { rustc: stdout.split('\n')[0], target, flags: flags(target) }
}

/** The processor that all machines of an architecture can stand in for, whatever cargo is set to. */
function flags(target) {
  return target.startsWith('x86_64') ? '-C target-cpu=x86-64' : '-C target-cpu=generic'
}

function build(flags) {
  const args = ['--release', '--locked', '-p', 'l4-director-engine-bench', '--bin', 'instructions']
  const env = { ...process.env, RUSTFLAGS: flags }
  delete env.CARGO_ENCODED_RUSTFLAGS
  runQuietly('cargo', ['build', '--quiet', ...args, '--target-dir', folder], { env })
}

/** Instructions of a whole run. The C library copies by the simplest way it has, on any processor. */
function instructions(path, frames) {
  const GLIBC_TUNABLES = 'glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX,-ERMS,-FSRM'
  const args = ['--tool=callgrind', '--callgrind-out-file=/dev/null', program, path, String(frames)]
  const { stderr } = output('valgrind', args, { env: { PATH: process.env.PATH, GLIBC_TUNABLES } })
  const collected = /Collected : (\d+)/.exec(stderr)
  if (collected === null) throw new StepError(`valgrind did not say what it collected: ${stderr}`)
  return Number(collected[1])
}

/** What a frame costs: preparations are the same in both runs, and cancel out. */
function perFrame(path) {
  const cost = (instructions(path, 2 * FRAMES) - instructions(path, FRAMES)) / FRAMES
  return Math.round(cost * 10) / 10
}

function table(names, committed, seen) {
  const rows = names.map((name) => {
    const percent = (seen[name] / committed[name] - 1) * 100
    const broken = !(Math.abs(percent) <= TOLERANCE)
    const change = Number.isNaN(percent) ? 'new or gone' : `${percent > 0 ? '+' : ''}${percent.toFixed(2)} %`
    const cells = [committed[name] ?? '-', seen[name] ?? '-', change].map((cell) => String(cell).padStart(12))
    return { broken, line: `${name.padEnd(22)}${cells.join('')}${broken ? '  <' : ''}` }
  })
  const head = `${'path'.padEnd(22)}${['committed', 'seen', 'change'].map((cell) => cell.padStart(12)).join('')}`
  const text = [head, ...rows.map(({ line }) => line)].join('\n')
  return { text, broken: rows.some(({ broken }) => broken) }
}

/** Counts of another compiler are not comparable. */
function checkCompiler(committed, now) {
  const differing = ['rustc', 'target', 'flags'].filter((key) => committed[key] !== now[key])
  if (differing.length === 0) return
  const lines = differing.map((key) => `  ${key}: ${committed[key]} in the file, ${now[key]} here`)
  throw new StepError(
    `the counts belong to another compiler, so they say nothing about the code:\n${lines.join('\n')}\n` +
      `Use that one; or, to move on to this one, run \`${rewrite}\` on unchanged code and commit the file alone.`,
  )
}

await main(() => {
  const isWriting = process.argv.includes('--write')
  const now = compiler()
  const committed = JSON.parse(readFileSync(record, 'utf8'))
  if (!isWriting) checkCompiler(committed, now)
  build(now.flags)
  const paths = output(program, []).stdout.trim().split('\n')
  const seen = Object.fromEntries(paths.map((path) => [path, perFrame(path)]))
  const names = [...new Set([...Object.keys(committed.instructionsPerFrame), ...paths])]
  const { text, broken } = table(names, committed.instructionsPerFrame, seen)
  process.stdout.write(`${text}\n`)
  if (isWriting) {
    writeFileSync(record, `${JSON.stringify({ ...now, instructionsPerFrame: seen }, null, 2)}\n`)
    return 0
  }
  if (!broken) return 0
  process.stdout.write(
    `A path costs over ${TOLERANCE} % more or less than benchmarks/engine/instructions.json says. If that is meant,\n` +
      `run \`${rewrite}\` and say in the commit why.\n`,
  )
  return 1
})
