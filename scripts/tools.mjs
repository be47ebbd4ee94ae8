// The programs that a build and the tests need, and how to get the ones that are missing.
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { StepError } from './process.mjs'

const REMEDIES = {
  cargo: 'install Rust 1.95 or newer from https://rustup.rs',
  cc: 'apt-get install build-essential',
  ip: 'apt-get install iproute2',
  sysctl: 'apt-get install procps',
  tc: 'apt-get install iproute2',
  unshare: 'apt-get install util-linux',
  npm: 'install Node.js 20.19 or newer with npm from https://nodejs.org',
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Whether a program can be found; administrators' folders are often not on a plain user's PATH. */
export function hasTool(name) {
  const folders = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter)
  return folders.some((folder) => isExecutable(join(folder, name)))
}

/** Throws one line for each missing tool: its name and how to get it. */
export function requireTools(names) {
  const missing = names.filter((name) => !hasTool(name))
  if (missing.length === 0) return
  throw new StepError(missing.map((name) => `missing tool: ${name} (${REMEDIES[name]})`).join('\n'))
}

/** Throws when Node is older than what the package supports. */
export function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  throw new StepError(
    `Node.js ${process.versions.node} is too old: install 20.19 or newer from https://nodejs.org`,
  )
}
