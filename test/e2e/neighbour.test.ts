import test from 'ava'

import { serverAddress } from '../lab/addresses.ts'
import { insideInterface } from '../lab/router.ts'
import { hostInterface } from '../lab/topology.ts'
import { ended, finish, Stage } from './stage.ts'

// A lost SYN is sent again after one second; an answer before that was an answer to the first.
const beforeRetransmission = 900

test('the first packets of connections wait for a neighbour that is not known yet', async (t) => {
  const stage = await Stage.open(t, { directors: 1 })
  await stage.serve('tcp-server')
  const host = stage.lab.director(1)
  for (const family of ['-4', '-6']) await host.run('ip', family, 'neigh', 'flush', 'dev', hostInterface)
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
