import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'

const run = promisify(execFile)
const index = new URL('../../lib/index.ts', import.meta.url).href
const root = fileURLToPath(new URL('../..', import.meta.url))

/** Tries to make an offline director in a process of its own and answers with what came of it. */
async function attempt(nativePath: string): Promise<{ code: string; message: string }> {
  const program = `
    const { Director } = await import(${JSON.stringify(index)})
    try { Director.offline(); console.log('{}') }
    catch ({ code, message }) { console.log(JSON.stringify({ code, message })) }`
  const args = ['--import=tsx', '--input-type=module', '-e', program]
  const env = { ...process.env, DIRECTOR_NATIVE_PATH: nativePath }
  const { stdout } = await run(process.execPath, args, { cwd: root, env })
  return JSON.parse(stdout) as { code: string; message: string }
}

test('importing works without an addon; using it names the path, the cause and the remedy', async (t) => {
  const { code, message } = await attempt('/nonexistent/director.node')
  t.is(code, 'ERR_DIRECTOR_NATIVE_NOT_FOUND')
  t.regex(message, /\/nonexistent\/director\.node: there is no such file/)
  t.regex(message, /npx l4-director build/)
})

test('what the dynamic linker says is passed on', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'l4-director-native-'))
  const file = join(folder, 'director.node')
  await writeFile(file, 'not a shared object')
  const { message } = await attempt(file)
  t.regex(message, /director\.node: .*(file too short|invalid ELF header)/)
  await rm(folder, { recursive: true })
})

test('an addon of another version is refused', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'l4-director-native-'))
  const file = join(folder, 'addon.cjs')
  await writeFile(file, "module.exports = { version: () => '0.0.0' }")
  const { message } = await attempt(file)
  t.regex(message, /it is version 0\.0\.0, this package is/)
  await rm(folder, { recursive: true })
})
