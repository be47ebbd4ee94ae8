import test from 'ava'

import { finish, Stage } from './stage.ts'

test('without sloppy, connections break with their director', async (t) => {
  const stage = await Stage.open(t, {}, { sloppy: false })
  await stage.serve('tcp-server')
  const client = stage.client('tcp-long', { connections: 60, intervalMs: 50, stallMs: 1500 })
  t.is((await client.message('connected'))['up'], 60)
  const broken = client.waitFor('a broken connection', ({ event }) => event === 'broken')
  await stage.cluster.kill(1)
  await stage.cluster.withdrawn(1)
  t.is((await broken)['cause'], 'timeout')
  const { exit, summary } = await finish(client)
  t.is(exit.status, 1)
  const lost = Number(summary['broken'])
  t.true(lost > 0 && lost < 60, `those of director 1 break, the others do not: ${lost} of 60 broke`)
  t.deepEqual(
    stage.happenings.filter(({ name }) => name === 'adopted'),
    [],
  )
})
