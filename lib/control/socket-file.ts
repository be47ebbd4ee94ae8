import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  unlinkSync,
} from 'node:fs'
import { connect } from 'node:net'
import type { Server } from 'node:net'
import { dirname, join } from 'node:path'
import { DirectorError } from '../errors.js'

/** The kernel takes 107 octets; the name that a socket has while it is made is this much longer. */
const PATH_OCTETS_MAX = 107 - '/.l4-XXXXXX/s'.length
const ATTEMPTS = 8

/** A socket's file, which is removed only while it is still the same. */
export interface SocketFile {
  /** Where it is. */
  readonly path: string
  /** Removes it. */
  remove(): void
}

/**
 * Lets a server listen at a path. The socket is made in a folder of its own that nobody else may
 * enter, gets mode 0600, and only then its name: there is no moment at which somebody else could
 * connect. The file of a dead server gives way; that of a living one does not.
 *
 * @throws DirectorError `ERR_DIRECTOR_CONTROL_IN_USE`, `ERR_DIRECTOR_CONTROL_SOCKET`
 */
export async function listenAt(server: Server, path: string): Promise<SocketFile> {
  if (Buffer.byteLength(path) > PATH_OCTETS_MAX)
    throw socketError(path, `the path is longer than ${PATH_OCTETS_MAX} octets`)
  const folder = attempt(path, () => {
    makeFolder(dirname(path))
    return mkdtempSync(join(dirname(path), '.l4-'))
  })
  const made = join(folder, 's')
  try {
    await listening(server, made, path)
    attempt(path, () => chmodSync(made, 0o600))
    for (let left = ATTEMPTS; left > 0; left -= 1) {
      if (linked(made, path)) return fileAt(path)
      await giveWay(path, join(folder, 'stale'))
    }
    throw inUse(path)
  } catch (error) {
    server.close()
    throw error
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The last folder of the path may be missing: `/run` is empty after a start of the host. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o755 })
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
}

function listening(server: Server, made: string, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(socketError(path, error.message, error)))
    server.listen(made, resolve)
  })
}

/** Gives the socket its name, unless something has it. */
function linked(made: string, path: string): boolean {
  try {
    linkSync(made, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw socketError(path, messageOf(error), error)
  }
}

/** Takes the file of a dead server away. Of two who try, one gets it: a rename is one step. */
async function giveWay(path: string, stale: string): Promise<void> {
  const before = identity(path)
  if (before === undefined) return
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket())
    throw socketError(path, 'something that is not a socket has this name; remove it or take another path')
  if (await isAlive(path)) throw inUse(path)
  try {
    renameSync(path, stale)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    throw socketError(path, messageOf(error), error)
  }
  if (identity(stale) === before) return unlinkSync(stale)
  // Somebody else was quicker and lives: what was taken is given back.
  linked(stale, path)
  unlinkSync(stale)
}

/** Whether somebody listens. A full queue of connections is a sign of life, too. */
function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error) => {
      const code = codeOf(error)
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve(false)
      else if (code === 'EAGAIN') resolve(true)
      else reject(socketError(path, error.message, error))
    })
  })
}

function fileAt(path: string): SocketFile {
  const own = identity(path)
  return {
    path,
    remove: () => {
      if (identity(path) === own) rmSync(path, { force: true })
    },
  }
}

function identity(path: string): string | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false, bigint: true })
  return found && `${found.dev}:${found.ino}:${found.birthtimeNs}`
}

function attempt<T>(path: string, step: () => T): T {
  try {
    return step()
  } catch (error) {
    throw socketError(path, messageOf(error), error)
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function inUse(path: string): DirectorError {
  const message = `${path}: another director serves this control socket; stop it or take another path`
  return new DirectorError('ERR_DIRECTOR_CONTROL_IN_USE', message)
}

function socketError(path: string, why: string, cause?: unknown): DirectorError {
  return new DirectorError('ERR_DIRECTOR_CONTROL_SOCKET', `control socket ${path}: ${why}`, { cause })
}
