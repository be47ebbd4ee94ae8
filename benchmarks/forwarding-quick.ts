// Forwarding through a director beside forwarding by the kernel, in one run, turn by turn.
//
//     npm run bench:quick -- [--rounds 5] [--seconds 3] [--check]

import { parseArgs } from 'node:util'

import { clientAddresses, serverAddress, virtualAddress } from '../test/lab/addresses.ts'
import { directorOptions } from '../test/lab/director-options.ts'
import { DirectorProgram } from '../test/lab/director-program.ts'
import { socketAddress, startPeer, startServer, type PeerProgram } from '../test/lab/peers.ts'
import { hostInterface, Lab } from '../test/lab/topology.ts'
import { median, spread } from './quantiles.ts'

/**
 * The hosts in the directors' place: one forwards by its kernel, one runs the director as it comes,
 * one the director with every frame through user space.
 */
const contenders = [
  { name: 'kernel', host: 1 },
  { name: 'director', host: 2 },
  { name: 'no fast path', host: 3 },
] as const

type Contender = (typeof contenders)[number]

/** One thing measured, larger is better. */
interface Measurement {
  readonly title: string
  readonly unit: string
  readonly target: number
  readonly program: PeerProgram
  readonly options: (seconds: number) => Record<string, string | number | boolean>
  readonly figure: (summary: Readonly<Record<string, unknown>>) => number
}

const measurements: readonly Measurement[] = [
  {
    title: 'bulk TCP, 1 stream',
    unit: 'Gbit/s',
    target: 0.8,
    program: 'bulk-client',
    options: (seconds) => ({ seconds, port: 90 }),
    figure: (summary) => Number(summary['bitsPerSecond']) / 1e9,
  },
  {
    title: 'bulk TCP, 4 streams',
    unit: 'Gbit/s',
    target: 0.8,
    program: 'bulk-client',
    options: (seconds) => ({ seconds, streams: 4, port: 90 }),
    figure: (summary) => Number(summary['bitsPerSecond']) / 1e9,
  },
  {
    title: 'new TCP connections',
    unit: '1/s',
    target: 0.8,
    program: 'tcp-short',
    options: (seconds) => ({ maxSeconds: seconds, concurrency: 64, port: 80 }),
    figure: (summary) => Number(summary['perSecond']),
  },
]

/** A host that forwards the virtual address to the server by its routing table alone. */
async function makeKernelForwarder(lab: Lab, index: number): Promise<void> {
  const host = lab.director(index)
  await host.sysctl({
    'net.ipv4.ip_forward': 1,
    'net.ipv4.conf.all.send_redirects': 0,
    [`net.ipv4.conf.${hostInterface}.send_redirects`]: 0,
  })
  const address = `${virtualAddress.ipv4}/32`
  await host.ip(`addr del ${address} dev lo`, `route add ${address} via ${serverAddress(1)}`)
}

async function measure(lab: Lab, contender: Contender, what: Measurement, seconds: number): Promise<number> {
  const { port = 80, ...options } = what.options(seconds)
  const connect = socketAddress(virtualAddress.ipv4, Number(port))
  await lab.router.announce(contender.host)
  const client = startPeer(lab.clients, what.program, { connect, source: clientAddresses(8), ...options })
  const exit = await client.exited
  await lab.router.withdraw(contender.host)
  const summary = client.latest('summary')
  if (summary === undefined || exit.status !== 0) {
    throw new Error(`${what.title}, ${contender.name}: ${JSON.stringify(summary)} ${client.complaints}`)
  }
  return what.figure(summary)
}

function listenOn(port: number): { readonly listen: string } {
  return { listen: socketAddress(virtualAddress.ipv4, port) }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Measures one thing round by round and answers with the director's ratio of the medians. */
async function compare(lab: Lab, what: Measurement, rounds: number, seconds: number): Promise<number> {
  const figures: Record<Contender['name'], number[]> = { kernel: [], director: [], 'no fast path': [] }
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) {
      figures[contender.name].push(await measure(lab, contender, what, seconds))
    }
  }
  print(`\n${what.title} (${what.unit}), ${rounds} rounds of ${seconds} s`)
  for (const { name } of contenders) {
    const paired = figures[name].map((figure, round) => figure / (figures.kernel[round] ?? Number.NaN))
    const ratio = median(figures[name]) / median(figures.kernel)
    print(
      `  ${name.padEnd(14)} ${spread(figures[name]).padEnd(24)} x ${ratio.toFixed(2)}, by round ${spread(paired)}`,
    )
  }
  const ratio = median(figures.director) / median(figures.kernel)
  print(`  target for the director: x ${what.target}${ratio >= what.target ? '' : ', missed'}`)
  return ratio
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      check: { type: 'boolean', default: false },
    },
  })
  const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)]
  const lab = await Lab.create({ directors: 3, servers: 1 })
  try {
    await makeKernelForwarder(lab, 1)
    const services = [80, 90].map((port) => directorOptions({ servers: 1, port }) as { services: object[] })
    const options = { ...services[0], services: services.flatMap((one) => one.services) }
    const directors = [
      await DirectorProgram.start(lab, 2, options),
      await DirectorProgram.start(lab, 3, { ...options, fastPath: false }),
    ]
    const servers = [
      await startServer(lab.server(1), 'tcp-server', listenOn(80), 'server1'),
      await startServer(lab.server(1), 'bulk-server', listenOn(90), 'server1'),
    ]
    let good = true
    for (const what of measurements) {
      good = (await compare(lab, what, rounds, seconds)) >= what.target && good
    }
    for (const director of directors) await director.close()
    for (const server of servers) await server.kill('SIGTERM')
    return good || !values.check
  } finally {
    await lab.close()
  }
}

process.exitCode = (await main()) ? 0 : 1
