import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { build } from 'esbuild'
import { PACKAGE_VERSION } from '../../lib/package.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))

const PROGRAM = `
import { nativeInfo } from '${root}lib/index.ts'
try { console.log(JSON.stringify(nativeInfo())) }
catch ({ code, message }) { console.log(JSON.stringify({ code, message })) }`

interface Said {
  readonly source?: string
  readonly version?: string
  readonly code?: string
  readonly message?: string
}

/** A folder with an addon that only knows its version, and a bundle in the folder `dist`. */
async function bundled(
  t: ExecutionContext,
  format: 'esm' | 'cjs',
): Promise<{ folder: string; file: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'l4-bundle-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'addon.cjs'), `module.exports = { version: () => '${PACKAGE_VERSION}' }`)
  const file = join(folder, 'dist', format === 'esm' ? 'main.mjs' : 'main.cjs')
  await build({
    stdin: { contents: PROGRAM, loader: 'ts', resolveDir: root },
    bundle: true,
    platform: 'node',
    format,
    outfile: file,
    logLevel: 'error',
  })
  return { folder, file }
}

async function start(file: string, cwd: string, nativePath = ''): Promise<Said> {
  const { stdout } = await run(process.execPath, [file], {
    cwd,
    env: { ...process.env, DIRECTOR_NATIVE_PATH: nativePath },
  })
  return JSON.parse(stdout) as Said
}

for (const format of ['esm', 'cjs'] as const) {
  test(`a bundle (${format}) takes the addon that it is told of`, async (t) => {
    const { folder, file } = await bundled(t, format)
    const absolute = join(folder, 'addon.cjs')
    const found = { source: absolute, version: PACKAGE_VERSION }
    t.deepEqual(await start(file, '/', absolute), found)
    t.deepEqual(await start(file, folder, './addon.cjs'), found)
  })

  test(`beside a bundle (${format}) the version of another package means nothing`, async (t) => {
    const { folder, file } = await bundled(t, format)
    writeFileSync(join(folder, 'package.json'), '{"name":"another","version":"7.8.9"}')
    t.is((await start(file, folder, 'addon.cjs')).version, PACKAGE_VERSION)
  })

  test(`a bundle (${format}) finds the package that is installed beside it`, async (t) => {
    const { folder, file } = await bundled(t, format)
    const release = join(folder, 'node_modules/l4-director/native/build/Release')
    mkdirSync(release, { recursive: true })
    writeFileSync(join(folder, 'node_modules/l4-director/package.json'), '{"name":"l4-director"}')
    // Node takes what ends in .node for machine code, so that it is found shows in why it does not load.
    writeFileSync(join(release, 'director.node'), 'no machine code')
    const { message } = await start(file, '/')
    t.regex(message ?? '', /l4-director\/native\/build\/Release\/director\.node: .*(too short|invalid ELF)/)
  })

  test(`a bundle (${format}) without an addon says so, and how to bundle`, async (t) => {
    const { folder, file } = await bundled(t, format)
    const { code, message = '' } = await start(file, folder)
    t.is(code, 'ERR_DIRECTOR_NATIVE_NOT_FOUND')
    t.true(message.includes(`this code was bundled into ${file}`))
    t.regex(message, /--packages=external/)
    t.regex(message, /DIRECTOR_NATIVE_PATH/)
    t.notRegex(message, new RegExp(`${folder}/native/build`))
  })
}

test('a bundle that is no file runs, too', async (t) => {
  const { folder, file } = await bundled(t, 'cjs')
  const { stdout } = await run('sh', ['-c', `"${process.execPath}" - < "${file}"`], {
    cwd: folder,
    env: { ...process.env, DIRECTOR_NATIVE_PATH: './addon.cjs' },
  })
  t.like(JSON.parse(stdout), { version: PACKAGE_VERSION })
})

test('a folder, an addon of somebody else, and a package without its file are told as what they are', async (t) => {
  const { folder, file } = await bundled(t, 'esm')
  const said = async (path: string): Promise<string> => (await start(file, folder, path)).message ?? ''
  t.regex(await said('./dist'), /dist: it is a folder; name the file director\.node in it/)
  writeFileSync(join(folder, 'other.cjs'), 'module.exports = {}')
  t.regex(await said('other.cjs'), /other\.cjs: it is no addon of this package/)
  mkdirSync(join(folder, 'node_modules/torn'), { recursive: true })
  writeFileSync(join(folder, 'node_modules/torn/package.json'), '{"name":"torn","main":"gone.node"}')
  t.regex(await said('torn'), /torn: Cannot find module '.*gone\.node'/)
  t.regex(await said('absent'), /absent: this package is not installed/)
  symlinkSync(join(folder, 'nowhere'), join(folder, 'broken.node'))
  t.regex(await said('broken.node'), /broken\.node: .*(there is no such file|not installed)/)
  copyFileSync(join(folder, 'addon.cjs'), join(folder, 'with space.cjs'))
  t.is((await start(file, folder, './with space.cjs')).version, PACKAGE_VERSION)
})
