import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { run } from './run.ts'

const store = fileURLToPath(new URL('../../target/debian/', import.meta.url))

/**
 * Unpacks Debian packages, as they are, into a folder that is kept: nothing is installed, no service
 * started. Resolves with the folder that stands for `/`.
 *
 * @throws Error when apt cannot load them; the message says what to do
 */
export async function unpackDebianPackages(packages: readonly string[]): Promise<string> {
  const name = createHash('sha256').update(packages.join(' ')).digest('hex').slice(0, 16)
  const folder = join(store, name)
  if (existsSync(folder)) return folder
  const making = `${folder}.${process.pid}`
  const archives = join(making, 'archives')
  mkdirSync(archives, { recursive: true })
  try {
    await download(archives, packages)
    for (const archive of readdirSync(archives)) {
      await run(['dpkg-deb', '--extract', join(archives, archive), join(making, 'root')])
    }
    renameSync(join(making, 'root'), folder)
  } finally {
    rmSync(making, { recursive: true, force: true })
  }
  return folder
}

async function download(folder: string, packages: readonly string[]): Promise<void> {
  try {
    await run(['sh', '-c', 'cd "$0" && exec apt-get -qq download "$@"', folder, ...packages])
  } catch (error) {
    const remedy = 'a Debian machine with package lists is needed: apt-get update'
    throw new Error(`${packages.join(', ')} cannot be loaded; ${remedy}`, { cause: error })
  }
}
