#!/usr/bin/env node
// The package's command: runs a director as a daemon, says whether one can run here, builds the addon.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { watchOutput } from './output.js'

const root = new URL('../', import.meta.url)
const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'))

const USAGE = `Usage: l4-director COMMAND

  run         run a director: --config FILE (default /etc/l4-director.json), or
              --rules FILE --interface NAME... [--control PATH] with saved rules of ipvsadm
  check       say what is wrong with a configuration; as run
  dump        write what a director counts as files of /proc/net/ip_vs: [--control PATH] FOLDER
  doctor      say whether a director can run here, and what is missing
  build       build the native addon and the ipvsadm command from source (needs cargo)
  --version   print the version
`

const CAPABILITIES = { CAP_NET_ADMIN: 12n, CAP_NET_RAW: 13n }
/** CAP_SYS_ADMIN and CAP_BPF: either does. */
const FAST_PATH_CAPABILITIES = [21n, 39n]

/** Prints one finding; answers with whether it is a good one. */
function finding(good, text) {
  process.stdout.write(`${good ? 'ok      ' : 'missing '} ${text}\n`)
  return good
}

async function addon() {
  try {
    const { nativeInfo } = await import(new URL('dist/index.js', root).href)
    return finding(true, `native addon: ${nativeInfo().source}`)
  } catch (error) {
    return finding(false, `native addon: ${error.message}`)
  }
}

function effectiveCapabilities() {
  const status = readFileSync('/proc/self/status', 'utf8')
  return BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`)
}

function capabilities() {
  const effective = effectiveCapabilities()
  const results = Object.entries(CAPABILITIES).map(([name, bit]) =>
    finding((effective >> bit) % 2n === 1n, `capability ${name}`),
  )
  return results.every(Boolean)
}

/** Not missing but worth knowing: without it everything is forwarded in user space. */
function fastPath() {
  const effective = effectiveCapabilities()
  const has = FAST_PATH_CAPABILITIES.some((bit) => (effective >> bit) % 2n === 1n)
  const text = 'capability CAP_BPF, for the fast path of bulk connections'
  process.stdout.write(`${has ? 'ok      ' : 'optional'} ${text}\n`)
}

/** A director needs it for saved rules only; ldirectord and others take it from /sbin. */
async function ipvsadm() {
  try {
    const { ipvsadmFile } = await import(new URL('dist/daemon/ipvsadm-file.js', root).href)
    process.stdout.write(
      `ok       command ipvsadm: ${ipvsadmFile()}; for ldirectord link /sbin/ipvsadm to it\n`,
    )
  } catch (error) {
    process.stdout.write(`optional command ipvsadm, for saved rules: ${error.message}\n`)
  }
}

/** What no check can find, and many look for here. */
function notes() {
  process.stdout.write(
    "note     a director serves clients of other hosts: those on its own host get 'connection refused',\n" +
      '         and its servers, a last resort too, have to be on other hosts\n',
  )
}

async function doctor() {
  const isLinux = process.platform === 'linux'
  const loaded = await addon()
  const platform = finding(isLinux, `Linux (this is ${process.platform}); Director.offline() works without`)
  const permitted = platform && capabilities()
  if (platform) fastPath()
  await ipvsadm()
  notes()
  return loaded && permitted ? 0 : 1
}

function build() {
  const script = fileURLToPath(new URL('scripts/build-native.mjs', root))
  return spawnSync(process.execPath, [script, '--force'], { stdio: 'inherit' }).status ?? 1
}

function printVersion() {
  process.stdout.write(`${version}\n`)
  return 0
}

/** What is part of the package's compiled sources. */
const daemon = () => import(new URL('dist/daemon/main.js', root).href)

async function main([command, ...args]) {
  // The daemon goes on without a reader of its log.
  if (command !== 'run') watchOutput()
  if (command === '--version') return printVersion()
  if (command === 'run') return (await daemon()).run(args)
  if (command === 'check') return (await daemon()).check(args)
  if (command === 'dump') return (await import(new URL('dist/daemon/dump.js', root).href)).dump(args)
  if (command === 'doctor') return doctor()
  if (command === 'build') return build()
  process.stderr.write(USAGE)
  return 2
}

process.exitCode = await main(process.argv.slice(2))
