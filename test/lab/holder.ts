import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'

import { CommandError, run } from './run.ts'

/** The lab cannot run here; the message says what is missing and how to get it. */
export class LabUnavailableError extends Error {
  override readonly name = 'LabUnavailableError'
}

const own = ['--net', '--mount'] as const
const ownAsPlainUser = ['--user', '--map-root-user', ...own] as const

// A private /run keeps the names of the lab's namespaces off the host: when the last process of
// the lab is gone, so is everything the lab made, however it ended.
const hold = `set -e
mount -t tmpfs lab /run
mkdir /run/netns
echo ready
exec cat`

/**
 * One process that keeps the lab's mount namespace (and, for a plain user, user namespace) alive.
 * It ends when its standard input closes, which the kernel does when this process dies.
 */
export class Holder {
  readonly asPlainUser: boolean
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>

  private constructor(child: ChildProcessByStdio<Writable, Readable, Readable>, asPlainUser: boolean) {
    this.#child = child
    this.asPlainUser = asPlainUser
  }

  /** Starts a holder, with the privileges at hand or in a user namespace of its own. */
  static async start(): Promise<Holder> {
    const flags = await unshareFlags()
    const child = spawn('unshare', [...flags, 'sh', '-c', hold], {
      stdio: ['pipe', 'pipe', 'pipe'],
      // Ctrl-C in a terminal goes to the whole group; the lab is taken down in order instead.
      detached: true,
    })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    const ready = once(child.stdout, 'data').then(() => true)
    const ended = once(child, 'exit').then(() => false)
    if (!(await Promise.race([ready, ended]))) {
      throw new LabUnavailableError(`the lab's namespaces cannot be made: ${stderr.trim()}`)
    }
    return new Holder(child, flags === ownAsPlainUser)
  }

  /** Words to put before a command so that it runs among the lab's namespaces. */
  get enter(): string[] {
    const user = this.asPlainUser ? ['--user', '--preserve-credentials'] : []
    return ['nsenter', '--target', String(this.#child.pid), ...user, '--mount', '--net', '--']
  }

  /** Ends the holder; the namespaces go when the processes in them have. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.stdin.destroy()
    await ended
  }
}

let known: Promise<typeof own | typeof ownAsPlainUser> | undefined

function unshareFlags(): Promise<typeof own | typeof ownAsPlainUser> {
  known ??= findUnshareFlags()
  return known
}

async function findUnshareFlags(): Promise<typeof own | typeof ownAsPlainUser> {
  await requireProgram('unshare', 'util-linux')
  await requireProgram('ip', 'iproute2')
  if (process.getuid?.() === 0 && (await works(own))) return own
  if (await works(ownAsPlainUser)) return ownAsPlainUser
  throw new LabUnavailableError(
    'network namespaces are not allowed here: run as root with CAP_SYS_ADMIN, or allow ' +
      'unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, ' +
      'user.max_user_namespaces > 0, kernel.apparmor_restrict_unprivileged_userns=0)',
  )
}

async function works(flags: readonly string[]): Promise<boolean> {
  const attempt = run(['unshare', ...flags, 'sh', '-c', 'mount -t tmpfs lab /run'])
  return attempt.then(
    () => true,
    (error: unknown) => {
      if (error instanceof CommandError) return false
      throw error
    },
  )
}

async function requireProgram(program: string, debianPackage: string): Promise<void> {
  const flag = program === 'ip' ? '-V' : '--version'
  await run([program, flag]).catch(() => {
    throw new LabUnavailableError(`the program ${program} is missing: apt-get install ${debianPackage}`)
  })
}
