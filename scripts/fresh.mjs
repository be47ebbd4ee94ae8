// Whether something built is newer than what it was built from.
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

const SKIPPED = new Set(['node_modules', 'target', 'build', 'dist', '.git'])

/** Latest modification time, in ms, of a file or of the files below a folder; 0 when there are none. */
export function newest(path) {
  if (!existsSync(path)) return 0
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  const below = readdirSync(path).filter((name) => !SKIPPED.has(name))
  return below.reduce((latest, name) => Math.max(latest, newest(join(path, name))), 0)
}

/** True when `output` exists and no source is newer. */
export function isFresh(output, sources) {
  return existsSync(output) && sources.every((source) => newest(source) <= statSync(output).mtimeMs)
}
