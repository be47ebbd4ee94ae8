import test, { type ExecutionContext } from 'ava'

import { clientAddress, routerInside, serverAddress, virtualAddress, type Family } from '../lab/addresses.ts'
import type { LabProcess } from '../lab/lab-process.ts'
import { startServer } from '../lab/peers.ts'
import { insideInterface } from '../lab/router.ts'
import type { Lab } from '../lab/topology.ts'
import { ended, finish, Stage } from './stage.ts'

interface Case {
  readonly tunnel: {
    readonly type: 'ipip' | 'gre' | 'gue'
    readonly port?: number
    readonly checksum?: string
  }
  readonly inner: Family
  readonly outer: Family
  /** Octets that the tunnel adds. */
  readonly overhead: number
}

const gue = { type: 'gue', port: 6080 } as const

const cases: readonly Case[] = [
  { tunnel: { type: 'ipip' }, inner: 'ipv4', outer: 'ipv4', overhead: 20 },
  { tunnel: { type: 'ipip' }, inner: 'ipv6', outer: 'ipv4', overhead: 20 },
  { tunnel: { type: 'gre', checksum: 'csum' }, inner: 'ipv4', outer: 'ipv4', overhead: 28 },
  { tunnel: { type: 'gre' }, inner: 'ipv4', outer: 'ipv6', overhead: 44 },
  { tunnel: gue, inner: 'ipv4', outer: 'ipv4', overhead: 32 },
  { tunnel: { ...gue, checksum: 'remcsum' }, inner: 'ipv4', outer: 'ipv4', overhead: 40 },
  { tunnel: { ...gue, checksum: 'csum' }, inner: 'ipv6', outer: 'ipv6', overhead: 52 },
]

const mtu = 1500
const bytes = 8_000_000

function title({ tunnel, inner, outer }: Case): string {
  return `${tunnel.type}${tunnel.checksum === undefined ? '' : ` (${tunnel.checksum})`}, ${inner} in ${outer}`
}

/** Opens the far end of the tunnels on every real server. */
async function openEnds(stage: Stage, { tunnel, outer }: Case): Promise<LabProcess[]> {
  const starting = stage.lab.servers.map((host, index) => {
    const address = serverAddress(index + 1, outer)
    return startServer(host, 'decapsulator', { address, tunnel: tunnel.type }, `end${index + 1}`)
  })
  const ends = await Promise.all(starting)
  for (const end of ends) stage.t.teardown(() => end.kill())
  return ends
}

async function transfer(t: ExecutionContext, how: Case): Promise<void> {
  const { tunnel, inner, outer, overhead } = how
  const server = { forwarding: 'tunnelling', tunnel }
  const directing = { protocols: ['tcp', 'udp'], families: [inner], server, serverFamily: outer } as const
  const stage = await Stage.open(t, { directors: 1 }, directing)
  const ends = await openEnds(stage, how)
  await stage.serve('bulk-server', [inner])
  const options = { bytes, direction: 'upload', verify: true, source: clientAddress(1, inner) }
  const { exit, summary } = await ended(stage.client('bulk-client', options, inner))
  t.is(exit.status, 0, JSON.stringify(summary))
  const room = mtu - overhead
  t.is(
    await stage.lab.clients.pathMtu(virtualAddress[inner], clientAddress(1, inner)),
    room,
    'the client was told what fits',
  )
  await stage.serve('udp-echo', [inner])
  const datagrams = await ended(stage.client('udp-client', { flows: 20, count: 5, intervalMs: 20 }, inner))
  t.like(datagrams.summary, { answered: 100, lost: 0, moved: 0 })
  const closed = await Promise.all(ends.map(finish))
  for (const { exit: end, summary: seen } of closed) t.is(end.status, 0, JSON.stringify(seen))
  const largest = Math.max(...closed.map(({ summary: seen }) => Number(seen['largest'])))
  t.true(largest <= room && largest > room - 40, `the largest packet inside had ${largest} octets`)
}

for (const how of cases) test(`${title(how)}: bulk data and datagrams arrive whole`, transfer, how)

/** A network in the middle of the tunnels that takes less than those at their ends. */
async function narrowMiddle(lab: Lab, family: Family): Promise<void> {
  const addresses = lab.servers.map((_, index) => serverAddress(index + 1, family))
  const through = addresses.map((address) => `route add ${address} via ${routerInside[family]}`)
  await lab.director(1).ip(...through)
  const narrow = addresses.map((address) => `route add ${address} dev ${insideInterface} mtu ${middle}`)
  await lab.router.namespace.ip(...narrow)
}

const middle = 1400

async function adapt(t: ExecutionContext, how: Case): Promise<void> {
  const { tunnel, inner, outer, overhead } = how
  const server = { forwarding: 'tunnelling', tunnel }
  const directing = { families: [inner], server, serverFamily: outer } as const
  const prepare = (lab: Lab): Promise<void> => narrowMiddle(lab, outer)
  const stage = await Stage.open(t, { directors: 1 }, directing, prepare)
  await openEnds(stage, how)
  await stage.serve('bulk-server', [inner])
  const options = { bytes, direction: 'upload', verify: true, source: clientAddress(1, inner) }
  const { exit, summary } = await ended(stage.client('bulk-client', options, inner))
  t.is(exit.status, 0, JSON.stringify(summary))
  const told = await stage.lab.clients.pathMtu(virtualAddress[inner], clientAddress(1, inner))
  t.is(told, middle - overhead)
}

// Of IPv6 in IPv4 the outside may be fragmented on the way, as IPVS has it: nobody is told.
for (const how of cases.filter(({ inner, outer }) => inner === 'ipv4' || outer === 'ipv6')) {
  test(`${title(how)}: the client adapts to a narrow network inside the tunnel`, adapt, how)
}

test('connections through a tunnel survive the loss of a director', async (t) => {
  const how: Case = { tunnel: { type: 'ipip' }, inner: 'ipv4', outer: 'ipv4', overhead: 20 }
  const server = { forwarding: 'tunnelling' }
  const stage = await Stage.open(t, { directors: 2 }, { server })
  await openEnds(stage, how)
  await stage.serve('tcp-server')
  const client = stage.client('tcp-long', { connections: 40, stallMs: 20_000 })
  await client.message('connected')
  await stage.cluster.kill(1)
  await stage.cluster.withdrawn(1)
  const { exit, summary } = await finish(client)
  t.is(exit.status, 0, JSON.stringify(summary))
  t.is(summary['broken'], 0)
})
