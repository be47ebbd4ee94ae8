// The proof that the crates which promise it need no standard library: they are compiled against a
// sysroot in which there is none. `wire` gets only core; `engine` gets core and alloc.
// Usage: node scripts/no-std.mjs
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { main, root, runQuietly, StepError } from './process.mjs'

const folder = join(root, 'target/no-std')

function rustc(...args) {
  const { status, stdout, stderr } = spawnSync('rustc', args, { encoding: 'utf8' })
  if (status !== 0) throw new StepError(`rustc ${args.join(' ')} failed: ${stderr}`)
  return stdout.trim()
}

/** Makes a sysroot of some of the libraries of the real one. */
function sysroot(name, libraries, target) {
  const real = join(rustc('--print', 'sysroot'), 'lib/rustlib', target, 'lib')
  const path = join(folder, name)
  const libraryFolder = join(path, 'lib/rustlib', target, 'lib')
  rmSync(path, { recursive: true, force: true })
  mkdirSync(libraryFolder, { recursive: true })
  for (const library of [...libraries, 'compiler_builtins']) {
    const files = readdirSync(real).filter((file) => file.startsWith(`lib${library}-`))
    if (files.length === 0) throw new StepError(`${real} has no lib${library}`)
    for (const file of files) symlinkSync(join(real, file), join(libraryFolder, file))
  }
  return path
}

/** Whether a crate of one line compiles against a sysroot. */
function compiles(source, path) {
  const file = join(folder, 'probe.rs')
  writeFileSync(file, `#![no_std]\n${source}\n`)
  const args = ['--crate-type=rlib', '--edition=2024', '--sysroot', path, '--emit=metadata', '-o']
  const { status } = spawnSync('rustc', [...args, join(folder, 'probe.rmeta'), file], { stdio: 'ignore' })
  return status === 0
}

/** The proof is worth something only if what it forbids does fail. */
function control(path, forbidden, allowed) {
  for (const crate of allowed) {
    if (!compiles(`extern crate ${crate};`, path)) throw new StepError(`${path} lacks ${crate}`)
  }
  for (const crate of forbidden) {
    if (compiles(`extern crate ${crate};`, path)) throw new StepError(`${path} does not keep ${crate} out`)
  }
}

/** Builds a library and all it depends on against a sysroot; what runs on the host keeps the real one. */
function build(package_, path, target, features = []) {
  const args = [
    'build',
    '--quiet',
    '--locked',
    '--lib',
    '--target',
    target,
    '--target-dir',
    join(folder, 'target'),
  ]
  const flags = `--sysroot=${path}`
  const env = { ...process.env, RUSTFLAGS: flags, CARGO_ENCODED_RUSTFLAGS: undefined }
  runQuietly('cargo', [...args, '-p', package_, ...features], { env })
}

await main(() => {
  const target = /^host: (.+)$/m.exec(rustc('-vV'))[1]
  mkdirSync(folder, { recursive: true })
  const core = sysroot('core', ['core'], target)
  const alloc = sysroot('alloc', ['core', 'alloc'], target)
  control(core, ['std', 'alloc'], ['core'])
  control(alloc, ['std'], ['core', 'alloc'])
  build('l4-director-wire', core, target)
  build('l4-director-engine', alloc, target)
  build('l4-director-engine', alloc, target, ['--features', 'serde'])
  process.stdout.write('wire compiles without std and alloc, engine without std; using them fails\n')
})
