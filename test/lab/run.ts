import { spawn } from 'node:child_process'

/** A command that failed: what it was, how it ended and what it said. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly stderr: string

  constructor(command: readonly string[], status: number | string, stderr: string) {
    super(`${command.join(' ')} ended with ${status}: ${stderr.trim() || 'no message'}`)
    this.stderr = stderr
  }
}

/** Runs a command to its end and resolves with its standard output; `input` is its standard input. */
export function run(command: readonly string[], input = ''): Promise<string> {
  const [program = '', ...rest] = command
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.once('error', reject)
    child.once('close', (status, signal) => {
      if (status === 0) resolve(stdout)
      else reject(new CommandError(command, status ?? signal ?? 'unknown', stderr))
    })
    // A command that ends before it has read everything reports through its status.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
  })
}
