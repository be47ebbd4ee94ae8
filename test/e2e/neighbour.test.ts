import test from 'ava'

import { serverAddress } from '../lab/addresses.ts'
import { insideInterface } from '../lab/router.ts'
import { hostInterface, type Lab } from '../lab/topology.ts'
import { ended, finish, Stage } from './stage.ts'

// A lost SYN is sent again after one second; an answer before that was an answer to the first.
const beforeRetransmission = 900

test('a connection is not refused because the host forgot its neighbours', async (t) => {
  const stage = await Stage.open(t, { directors: 1 })
  await stage.serve('tcp-server')
  const host = stage.lab.director(1)
  const neighbours = [1, 2, 3].map((index) => serverAddress(index))
  await host.ip(...neighbours.map((address) => `neigh del ${address} dev ${hostInterface}`))
  const { exit, summary } = await ended(stage.client('tcp-short', { count: 60, rate: 2000 }))
  t.is(exit.status, 0, JSON.stringify(summary))
  t.is(summary['ok'], 60)
  t.deepEqual(Object.keys(summary['servers'] as object), ['server1', 'server2', 'server3'])
  t.true(
    Number(summary['connectP99Ms']) < beforeRetransmission,
    `slowest: ${String(summary['connectP99Ms'])} ms`,
  )
})

test('a server that changed its hardware address is found again', async (t) => {
  const stage = await Stage.open(t, { directors: 1, servers: 1 })
  await stage.serve('tcp-server')
  const client = stage.client('tcp-long', { connections: 20, intervalMs: 50, stallMs: 15_000 })
  t.is((await client.message('connected'))['up'], 20)
  const server = stage.lab.server(1)
  await server.ip(`link set ${hostInterface} address 02:00:00:00:77:01`)
  // What a server does that took an address over: it tells the network (RFC 5227, section 3).
  await stage.lab
    .director(1)
    .ip(`neigh replace ${serverAddress(1)} lladdr 02:00:00:00:77:01 dev ${hostInterface} nud reachable`)
  await stage.lab.router.namespace.run('ip', 'neigh', 'flush', 'dev', insideInterface)
  const before = Number(client.latest('state')?.['records'] ?? 0)
  await client.waitFor('records after that', ({ records }) => Number(records) > before + 200)
  const { summary } = await finish(client)
  t.like(summary, { broken: 0, closed: 20 })
})

interface Waiting {
  readonly pending: { readonly queued: number; readonly released: number }
}

test('the first packet of a connection waits for a neighbour that is not known yet', async (t) => {
  const unplugged = (lab: Lab): Promise<void> => lab.router.namespace.ip('link set server1 down')
  const stage = await Stage.open(t, { directors: 1, servers: 1 }, {}, unplugged)
  await stage.serve('tcp-server')
  const director = stage.cluster.director(1)
  const queued = director.process.waitFor('a waiting packet', ({ event, statistics }) => {
    return event === 'statistics' && (statistics as Waiting).pending.queued > 0
  })
  const client = stage.client('tcp-short', { count: 1, rate: 100 })
  await queued
  await stage.lab.router.namespace.ip('link set server1 up')
  const { exit, summary } = await ended(client)
  t.is(exit.status, 0, JSON.stringify(summary))
  const { pending } = (await director.call('snapshot')) as Waiting
  t.true(pending.released >= 1, JSON.stringify(pending))
})
