import { once } from 'node:events'
import { createWriteStream, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ConnectionRow } from '../connection.js'
import type { Statistics } from '../snapshot.js'
import { CONNECTIONS_TITLE, ipVs, ipVsConnection, ipVsStats } from './proc-format.js'

/** Writes `net/ip_vs` and `net/ip_vs_stats` below a folder; readers see whole files, old or new. */
export function writeCounters(folder: string, statistics: Statistics): void {
  const net = netFolder(folder)
  for (const [name, text] of [
    ['ip_vs', ipVs(statistics)],
    ['ip_vs_stats', ipVsStats(statistics)],
  ] as const) {
    writeFileSync(join(net, `.${name}`), text, { mode: 0o644 })
    renameSync(join(net, `.${name}`), join(net, name))
  }
}

/** Writes `net/ip_vs_conn` below a folder, likewise. */
export async function writeConnections(folder: string, rows: AsyncIterable<ConnectionRow>): Promise<void> {
  const net = netFolder(folder)
  const file = createWriteStream(join(net, '.ip_vs_conn'), { mode: 0o644 })
  await once(file, 'open')
  await pipeline(Readable.from(lines(rows)), file)
  renameSync(join(net, '.ip_vs_conn'), join(net, 'ip_vs_conn'))
}

async function* lines(rows: AsyncIterable<ConnectionRow>): AsyncGenerator<string> {
  yield CONNECTIONS_TITLE
  for await (const row of rows) yield ipVsConnection(row)
}

function netFolder(folder: string): string {
  const net = join(folder, 'net')
  mkdirSync(net, { recursive: true, mode: 0o755 })
  return net
}
