import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { scratch } from './control-peer.ts'
import { webKey } from './web.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const director = join(root, 'bin/l4-director.js')

interface Ended {
  readonly status: number
  readonly stderr: string
}

/** Runs a command whose output nobody reads: it is started once the reader is gone. */
async function unread(command: readonly string[]): Promise<Ended> {
  const child = spawn('sh', ['-c', 'read -r go; exec "$@"', 'sh', ...command])
  const said = text(child.stderr)
  child.stdout.destroy()
  await once(child.stdout, 'close')
  child.stdin.end('go\n')
  const [status] = (await once(child, 'exit')) as [number]
  return { status, stderr: await said }
}

/** Runs a command whose output goes to a full disk. */
async function full(command: readonly string[]): Promise<Ended> {
  const disk = openSync('/dev/full', 'w')
  const [program = '', ...args] = command
  const child = spawn(program, args, { stdio: ['ignore', disk, 'pipe'] })
  closeSync(disk)
  const said = text(child.stderr ?? process.stdin)
  const [status] = (await once(child, 'exit')) as [number]
  return { status, stderr: await said }
}

function commands(t: ExecutionContext): Readonly<Record<string, readonly string[]>> {
  const config = join(scratch(t), 'director.json')
  const services = [{ ...webKey, scheduler: 'sh' }]
  writeFileSync(config, JSON.stringify({ interfaces: ['eth0'], services }))
  return {
    version: [process.execPath, director, '--version'],
    check: [process.execPath, director, 'check', '--config', config],
    demo: [
      process.execPath,
      '--import=tsx',
      `--import=${join(root, 'scripts/watch-output.mjs')}`,
      join(root, 'demo/main.ts'),
      '--help',
    ],
  }
}

test('a reader that went away is no failure, and nothing is said', async (t) => {
  for (const [name, command] of Object.entries(commands(t)))
    t.deepEqual(await unread(command), { status: 0, stderr: '' }, name)
})

test('output that cannot be written is a failure, and told', async (t) => {
  for (const [name, command] of Object.entries(commands(t))) {
    const { status, stderr } = await full(command)
    t.is(status, 1, name)
    t.is(stderr, 'the output could not be written: ENOSPC: no space left on device, write\n', name)
  }
})

test('doctor ends as it would with a reader', async (t) => {
  const command = [process.execPath, director, 'doctor']
  const child = spawn(process.execPath, command.slice(1), { stdio: ['ignore', 'ignore', 'inherit'] })
  const [status] = (await once(child, 'exit')) as [number]
  t.deepEqual(await unread(command), { status, stderr: '' })
})
