import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ControlServer, type OfflineDirector } from '../../lib/index.ts'

/** How a command ended. */
export interface Ended {
  readonly rc: number
  readonly stdout: string
  readonly stderr: string
}

/** Where the command is: `L4_IPVSADM`, or the latest that cargo made. */
export function ipvsadmBinary(): string {
  const given = process.env['L4_IPVSADM']
  if (given !== undefined) return given
  const built = ['native/build/Release', 'target/release', 'target/debug']
    .map((folder) => fileURLToPath(new URL(`../../${folder}/ipvsadm`, import.meta.url)))
    .filter((path) => existsSync(path))
    .toSorted((left, right) => statSync(right).mtimeMs - statSync(left).mtimeMs)
  const [latest] = built
  if (latest === undefined) {
    throw new Error('there is no ipvsadm command: npm run build makes it')
  }
  return latest
}

/** Folders of shells that are open: gone when the process ends in the middle of a replay, too. */
const folders = new Set<string>()
process.once('exit', () => folders.forEach(remove))

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
  folders.delete(folder)
}

/** The `ipvsadm` command, talking to an offline director by its control socket. */
export class Shell {
  readonly #folder: string
  readonly #socket: string
  readonly #server: ControlServer
  readonly #binary = ipvsadmBinary()

  private constructor(folder: string, socket: string, server: ControlServer) {
    this.#folder = folder
    this.#socket = socket
    this.#server = server
  }

  /** Opens a control socket on a director. */
  static async open(director: OfflineDirector): Promise<Shell> {
    const folder = mkdtempSync(join(tmpdir(), 'l4-conformance-'))
    folders.add(folder)
    const socket = join(folder, 'control.sock')
    return new Shell(folder, socket, await director.serveControl(socket))
  }

  /** Starts a command line. */
  start(line: string): ChildProcessWithoutNullStreams {
    const [program = '', ...args] = words(line)
    return spawn(this.#binary, args, {
      argv0: program,
      // A name server that does not answer costs a listing of names a second for each.
      env: { LANG: 'C', L4_DIRECTOR_CONTROL: this.#socket, RES_OPTIONS: 'timeout:1 attempts:1' },
    })
  }

  /** Runs one recorded command line. */
  run(line: string, stdin = ''): Promise<Ended> {
    const child = this.start(line)
    const text = { stdout: '', stderr: '' }
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (chunk: string) => (text[stream] += chunk))
    }
    // A command that does not read closes its end first.
    child.stdin.on('error', () => undefined).end(stdin)
    return new Promise((resolve, reject) => {
      child.on('error', reject).on('close', (rc) => resolve({ rc: rc ?? -1, ...text }))
    })
  }

  /** Closes the socket. */
  async close(): Promise<void> {
    await this.#server.close()
    remove(this.#folder)
  }
}

/** The words of a command line, as a shell splits it; double quotes keep a word together. */
function words(line: string): string[] {
  return (line.match(/(?:"[^"]*"|[^\s"])+/g) ?? []).map((word) => word.replaceAll('"', ''))
}
