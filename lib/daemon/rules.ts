import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OfflineDirector } from '../offline-director.js'
import { ipvsadmFile } from './ipvsadm-file.js'

/** Problems of one file that are told at most. */
const PROBLEMS_MAX = 20

/** A line of saved rules that was refused. */
export interface RuleProblem {
  /** Line, from 1. */
  readonly line: number
  /** What the command said. */
  readonly message: string
}

/**
 * Carries out a file of saved rules (`ipvsadm -S`) on an offline director, by the package's own
 * `ipvsadm` command, which knows what they mean. Answers with the lines that were refused; `anew`
 * makes another director like the one at the beginning, to find them.
 *
 * @throws DirectorError `ERR_DIRECTOR_NATIVE_NOT_FOUND` without the command; what reading the file throws
 */
export async function restoreRules(
  director: OfflineDirector,
  file: string,
  anew: () => OfflineDirector,
): Promise<RuleProblem[]> {
  // Debian writes comments into saved rules; to the command, as to IPVS's, they mean nothing.
  const text = readFileSync(file, 'utf8').replaceAll(/^[^\S\n]*#.*$/gm, '')
  const whole = await withSocket(director, (socket) => restore(socket, text))
  if (whole === undefined) return []
  const problems = await withSocket(anew(), (socket) => lineByLine(socket, text.split('\n')))
  return problems.length > 0 ? problems : [{ line: 1, message: whole }]
}

async function lineByLine(socket: string, lines: readonly string[]): Promise<RuleProblem[]> {
  const problems: RuleProblem[] = []
  for (const [index, text] of lines.entries()) {
    if (problems.length >= PROBLEMS_MAX) break
    if (text.trim() === '') continue
    const said = await restore(socket, `${text}\n`)
    if (said !== undefined) problems.push({ line: index + 1, message: inWords(said, text) })
  }
  return problems
}

/** Of a line that begins with no command the command only says where its help is. */
function inWords(said: string, text: string): string {
  if (!said.startsWith('Try `')) return said
  const [word] = text.trim().split(/\s+/)
  return `\`${word}' is no command; a line begins with one, such as -A or -a`
}

async function withSocket<T>(director: OfflineDirector, use: (socket: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'l4-rules-'))
  const server = await director.serveControl(join(folder, 'control.sock'))
  try {
    return await use(server.path)
  } finally {
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Runs `ipvsadm -R`; answers with what it complained of, if it did. */
function restore(socket: string, text: string): Promise<string | undefined> {
  const environment = { ...process.env, L4_DIRECTOR_CONTROL: socket }
  return new Promise((resolve, reject) => {
    const child = spawn(ipvsadmFile(), ['-R'], { env: environment, stdio: ['pipe', 'ignore', 'pipe'] })
    let complaints = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      complaints += chunk
    })
    child.on('error', reject)
    child.on('close', (status) => {
      const said = complaints.trim()
      if (said !== '') resolve(said)
      else resolve(status === 0 ? undefined : `ipvsadm ended with status ${status}`)
    })
    // A command that ends early says why; that its input was not read to the end does not matter.
    child.stdin.on('error', () => undefined)
    child.stdin.end(text)
  })
}
