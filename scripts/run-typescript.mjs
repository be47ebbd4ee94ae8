// Sets up what is missing, then runs a TypeScript program of the checkout with its arguments.
// Usage: node scripts/run-typescript.mjs FILE [ARGUMENT...]
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { main, root, StepError } from './process.mjs'
import { setUp } from './set-up.mjs'

await main(async () => {
  const [file, ...args] = process.argv.slice(2)
  const program = join(root, file)
  if (!existsSync(program)) throw new StepError(`${file} does not exist`)
  setUp()
  const child = spawn(
    process.execPath,
    ['--import=tsx', `--import=${join(root, 'scripts/watch-output.mjs')}`, program, ...args],
    { stdio: 'inherit' },
  )
  // A terminal's interrupt reaches the program by itself; it decides what that means.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  return new Promise((resolve) => child.on('exit', (status) => resolve(status ?? 1)))
})
