import test from 'ava'

import { clientAddress } from '../lab/addresses.ts'
import { ended, finish, Stage } from './stage.ts'

test('two workers share the traffic and adopt alike', async (t) => {
  const stage = await Stage.open(t, {}, { protocols: ['tcp', 'sctp', 'udp'], more: { workers: 2 } })
  await stage.serve('tcp-server')
  await stage.serve('udp-echo')
  await stage.serveSctp('ipv4')
  const tcp = stage.client('tcp-long', { connections: 200, intervalMs: 50 })
  const sctp = stage.client('sctp-client', { source: clientAddress(1), associations: 20, intervalMs: 50 })
  t.is((await tcp.message('connected'))['up'], 200)
  t.is((await sctp.message('connected'))['up'], 20)
  const udp = await ended(stage.client('udp-client', { flows: 40, count: 10, intervalMs: 20 }))
  t.like(udp.summary, { answered: 400, lost: 0, moved: 0 })

  await stage.cluster.kill(1)
  await stage.cluster.withdrawn(1)
  const adopted = stage.happened('adopted', ({ director }) => director === 1)
  await stage.cluster.start(1)
  await adopted
  const { statistics } = (await stage.cluster.director(2).process.message('statistics')) as unknown as {
    readonly statistics: { readonly connections: number }
  }
  t.true(statistics.connections >= 200, `entries of both workers: ${statistics.connections}`)
  for (const [client, count] of [
    [tcp, 200],
    [sctp, 20],
  ] as const) {
    const { summary } = await finish(client)
    t.like(summary, { broken: 0, closed: count })
  }
})
