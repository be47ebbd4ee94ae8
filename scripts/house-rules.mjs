// What CONTRIBUTING promises about the sources and a compiler does not check.
// Usage: node scripts/house-rules.mjs
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { main, root } from './process.mjs'

const RUST_LINES_MAX = 500
const BINDING_LINES_MAX = 800
const UNSAFE_ROOM = 'native/afpacket/src/sys/'

const read = (file) => readFileSync(join(root, file), 'utf8')
const lines = (text) => text.split('\n').length - 1
const withoutComments = (text) => text.replaceAll(/^\s*(\/\/|\/?\*).*$/gm, '')
const withoutTests = (text) => text.split(/^#\[cfg\(test\)\]\nmod tests/m)[0]

/** Files of the project: tracked, or new and not ignored. */
function files(pattern) {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '--', pattern]
  const listed = execFileSync('git', args, { cwd: root, encoding: 'utf8' }).split('\n')
  return listed.filter((file) => file !== '' && existsSync(join(root, file)))
}

const isTest = (file) => /(^|\/)tests?(\/|\.rs$)|_tests?\.rs$/.test(file)

function longFiles() {
  const sources = files('native/*.rs').filter((file) => !isTest(file))
  const long = sources.filter((file) => lines(withoutTests(read(file))) > RUST_LINES_MAX)
  return long.map((file) => `${file} is longer than ${RUST_LINES_MAX} lines`)
}

function thickBinding() {
  const sum = files('native/binding/*.rs').reduce((total, file) => total + lines(read(file)), 0)
  return sum < BINDING_LINES_MAX
    ? []
    : [`native/binding has ${sum} lines: below ${BINDING_LINES_MAX} are allowed`]
}

function strayUnsafe() {
  const sources = files('native/*.rs').filter((file) => !file.startsWith(UNSAFE_ROOM) && !isTest(file))
  const stray = sources.filter((file) => /\bunsafe (?:\{|fn|impl)/.test(withoutTests(read(file))))
  return stray.map((file) => `${file} has unsafe code outside of ${UNSAFE_ROOM}`)
}

function runtimeDependencies() {
  const { dependencies = {} } = JSON.parse(read('package.json'))
  return Object.keys(dependencies).map((name) => `package.json depends on ${name} at run time`)
}

function lockedHosts() {
  const { packages } = JSON.parse(read('package-lock.json'))
  const resolved = Object.keys(packages).filter((name) => packages[name].resolved?.startsWith('http'))
  return resolved.map((name) => `package-lock.json says where ${name} comes from`)
}

/** `npm ci` refuses a lock file without the optional packages of other platforms. */
function incompleteLock() {
  const { packages } = JSON.parse(read('package-lock.json'))
  const wanted = Object.values(packages).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}))
  const missing = wanted.filter((name) => !Object.hasOwn(packages, `node_modules/${name}`))
  return missing.map((name) => `package-lock.json lacks the optional package ${name}`)
}

function differentVersions() {
  const { version } = JSON.parse(read('package.json'))
  const [, crates] = /^version = "(.+)"$/m.exec(read('Cargo.toml'))
  const [, sources] = /^export const PACKAGE_VERSION = '(.+)'$/m.exec(read('lib/package.ts'))
  const others = Object.entries({ 'Cargo.toml': crates, 'lib/package.ts': sources })
  const different = others.filter(([, other]) => other !== version)
  return different.map(([file, other]) => `package.json is ${version}, ${file} ${other}`)
}

/** Node.js 20 may collect what `any()` is made of, `timeout()` first; `lib/abort.ts` has what does not go. */
function weakSignals() {
  const sources = [
    ...files('lib/*.ts'),
    ...files('bin/*.js'),
    ...files('examples/*.ts'),
    ...files('demo/*.ts'),
  ]
  const weak = sources.filter((file) => /AbortSignal\.(any|timeout)\(/.test(withoutComments(read(file))))
  return weak.map((file) => `${file} waits on AbortSignal.any() or timeout(): use lib/abort.ts`)
}

await main(() => {
  const rules = [
    weakSignals,
    longFiles,
    thickBinding,
    strayUnsafe,
    runtimeDependencies,
    lockedHosts,
    incompleteLock,
    differentVersions,
  ]
  const broken = rules.flatMap((rule) => rule())
  for (const text of broken) process.stdout.write(`${text}\n`)
  return broken.length > 0 ? 1 : 0
})
