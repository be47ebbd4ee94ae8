import { parseArgs } from 'node:util'
import { ControlClient } from '../control/client.js'
import { isDirectorError } from '../errors.js'
import { writeConnections, writeCounters } from './proc-files.js'

const USAGE = 'Usage: l4-director dump [--control PATH] FOLDER\n'

/**
 * `dump`: asks a running director, and writes what it counts as files that tools for IPVS read.
 * Answers the exit status.
 */
export async function dump(args: readonly string[]): Promise<number> {
  const parsed = parse(args)
  if (parsed === undefined) {
    process.stderr.write(USAGE)
    return 2
  }
  try {
    await using client = await ControlClient.connect(parsed.path === undefined ? {} : { path: parsed.path })
    const { statistics } = await client.snapshot()
    writeCounters(parsed.folder, statistics)
    await writeConnections(parsed.folder, client.connections())
    return 0
  } catch (error) {
    if (!isDirectorError(error) && !(error instanceof Error && 'syscall' in error)) throw error
    process.stderr.write(`${error.message}\n`)
    return 1
  }
}

function parse(args: readonly string[]): { path: string | undefined; folder: string } | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { control: { type: 'string' } },
      allowPositionals: true,
    })
    const [folder, ...more] = positionals
    return folder === undefined || more.length > 0 ? undefined : { path: values.control, folder }
  } catch {
    return undefined
  }
}
