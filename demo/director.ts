// One director of the demo: a Node program that embeds the package. It takes its options as JSON
// from the command line, commands as JSON lines from standard input, and writes JSON lines.
//
//     ip netns exec director1 node --import tsx demo/director.ts '{"interfaces":["eth0"],...}'

import { createInterface } from 'node:readline'

import { Director, isDirectorError, type DirectorOptions, type RealServer } from 'l4-director'

/** A command from the parent. */
interface Request {
  readonly id: number
  readonly method: string
  readonly parameters: Readonly<Record<string, unknown>>
}

const statisticsIntervalMs = 100

function write(message: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

function describe(error: unknown): Record<string, unknown> {
  if (!isDirectorError(error)) return { message: String(error) }
  return { code: error.code, message: error.message, issues: error.issues }
}

/** The real servers with an address: one for each service, or for each of one protocol. */
function serversAt(director: Director, { server: address, protocol }: Request['parameters']): RealServer[] {
  const found = director.services
    .filter(({ key }) => protocol === undefined || ('protocol' in key && key.protocol === protocol))
    .flatMap((service) => service.servers)
    .filter((server) => server.address === address)
  if (found.length === 0) throw new Error(`no real server has the address ${String(address)}`)
  return found
}

async function listConnections(director: Director, filter: object): Promise<unknown[]> {
  const rows: unknown[] = []
  for await (const row of director.connections(filter)) rows.push(row)
  return rows
}

async function perform(director: Director, { method, parameters }: Request): Promise<unknown> {
  switch (method) {
    case 'pause':
      for (const server of serversAt(director, parameters)) server.pause()
      return undefined
    case 'resume':
      for (const server of serversAt(director, parameters)) server.resume()
      return undefined
    case 'drained':
      await Promise.all(serversAt(director, parameters).map((server) => server.drained()))
      return undefined
    case 'snapshot':
      return director.snapshot()
    case 'connections':
      return listConnections(director, parameters)
    case 'close':
      return director.close()
    default:
      throw new Error(`unknown method ${method}`)
  }
}

async function answer(director: Director, request: Request): Promise<void> {
  try {
    write({ event: 'reply', id: request.id, value: await perform(director, request) })
  } catch (error) {
    write({ event: 'reply', id: request.id, error: describe(error) })
  }
}

async function report(director: Director): Promise<void> {
  for await (const statistics of director.statistics({ intervalMs: statisticsIntervalMs })) {
    write({ event: 'statistics', statistics })
  }
}

async function main(): Promise<void> {
  const options = JSON.parse(process.argv[2] ?? '{}') as DirectorOptions
  const director = await Director.start(options)
  for (const name of [
    'adopted',
    'serverQuiesced',
    'serverDrained',
    'interfaceDown',
    'interfaceUp',
  ] as const) {
    director.on(name, (details: object) => write({ event: 'happened', name, details }))
  }
  director.on('error', (error) => write({ event: 'happened', name: 'error', details: describe(error) }))
  write({ event: 'ready', pid: process.pid })

  const input = createInterface(process.stdin)
  input.on('line', (line) => void answer(director, JSON.parse(line) as Request))
  input.on('close', () => void director.close())
  await report(director)
}

try {
  await main()
} catch (error) {
  write({ event: 'failed', ...describe(error) })
  process.exitCode = 1
}
