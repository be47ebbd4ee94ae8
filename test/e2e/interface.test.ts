import test from 'ava'

import { routerInside } from '../lab/addresses.ts'
import { hostInterface } from '../lab/topology.ts'
import { finish, Stage } from './stage.ts'

test('an interface that goes down and up again is survived', async (t) => {
  const stage = await Stage.open(t, { directors: 1 })
  await stage.serve('tcp-server')
  const host = stage.lab.director(1)
  const client = stage.client('tcp-long', { connections: 50, intervalMs: 20, stallMs: 15_000 })
  t.is((await client.message('connected'))['up'], 50)

  const down = stage.happened('interfaceDown')
  await host.ip(`link set ${hostInterface} down`)
  t.is((await down).details['interface'], hostInterface)

  const up = stage.happened('interfaceUp')
  await host.ip(
    `link set ${hostInterface} up`,
    // The kernel dropped this route with the link.
    `route replace default via ${routerInside.ipv4}`,
  )
  t.is((await up).details['interface'], hostInterface)
  const before = Number(client.latest('state')?.['records'] ?? 0)
  await client.waitFor('records after that', ({ records }) => Number(records) > before + 500)

  const { summary } = await finish(client)
  t.like(summary, { broken: 0, closed: 50 })
  t.deepEqual(
    stage.happenings.filter(({ name }) => name === 'error'),
    [],
  )
})

test('the carrier may go and come back', async (t) => {
  const stage = await Stage.open(t, { directors: 1 })
  await stage.serve('tcp-server')
  const client = stage.client('tcp-long', { connections: 50, intervalMs: 20, stallMs: 15_000 })
  t.is((await client.message('connected'))['up'], 50)
  const down = stage.happened('interfaceDown')
  await stage.lab.router.namespace.ip('link set director1 down')
  await down
  const up = stage.happened('interfaceUp')
  await stage.lab.router.namespace.ip('link set director1 up')
  await up
  const { summary } = await finish(client)
  t.like(summary, { broken: 0, closed: 50 })
})
