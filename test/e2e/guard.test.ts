import test from 'ava'

import { guardFilters, hasFilterHook } from './guard-filters.ts'
import { ended, finish, Stage } from './stage.ts'
import { tcpCounter } from './tcp-counter.ts'

test('the host of a director sends no RST, not even after its director was killed', async (t) => {
  const stage = await Stage.open(t, { directors: 1 })
  await stage.serve('tcp-server')
  const host = stage.lab.director(1)
  const client = stage.client('tcp-long', { connections: 50, intervalMs: 20, stallMs: 10_000 })
  t.is((await client.message('connected'))['up'], 50)
  t.is(await tcpCounter(host, 'OutRsts'), 0)

  // The router goes on sending to a host whose director is gone.
  await stage.cluster.kill(1)
  const guards = await guardFilters(host)
  t.true(guards.length > 0, 'the guard outlives its director')
  await stage.cluster.withdrawn(1)

  await stage.cluster.start(1)
  t.is((await guardFilters(host)).length, guards.length, 'the new director took the guard over')
  const { summary } = await finish(client)
  t.like(summary, { broken: 0, closed: 50 })
  t.is(await tcpCounter(host, 'OutRsts'), 0)
})

test('close() removes the guard', async (t) => {
  const stage = await Stage.open(t, { directors: 1 })
  const host = stage.lab.director(1)
  t.true((await guardFilters(host)).length > 0)
  const exit = await stage.cluster.director(1).close()
  t.is(exit.status, 0)
  t.deepEqual(await guardFilters(host), [])
  t.false(await hasFilterHook(host), 'the hook it made is gone, too')
  // What the guard was for: the host has the virtual address, and now answers for it.
  await stage.lab.router.announce(1)
  const { summary } = await ended(stage.client('tcp-short', { count: 3, rate: 100 }))
  t.is(summary['refused'], 3)
  t.is(await tcpCounter(host, 'OutRsts'), 3)
})
