import { mock } from 'node:test'
import test from 'ava'
import { peer, served } from './control-peer.ts'

const SECOND = 1000

test.beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }))
test.afterEach.always(() => mock.timers.reset())

/** Lets what has been sent arrive. */
async function turns(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

test.serial('a line has ten seconds to end', async (t) => {
  const { server } = await served(t)
  const client = peer(t, server)
  t.like(await client.ask('ping'), { id: 1 })
  client.send('{"version":1,"id":2,')
  const answer = client.line()
  // The first octets have been taken when what comes after them is answered.
  await peer(t, server).ask('ping')
  await peer(t, server).ask('ping')
  mock.timers.tick(5 * SECOND)
  client.send('"method":')
  await peer(t, server).ask('ping')
  await peer(t, server).ask('ping')
  mock.timers.tick(5 * SECOND - 1)
  t.is(server.statistics.unfinished, 0)
  mock.timers.tick(1)
  t.like(await answer, { id: null, error: { code: 'ERR_DIRECTOR_CONTROL_REQUEST' } })
  await client.closed()
  t.is(server.statistics.unfinished, 1)
})

test.serial('a client that does not read its answer is dropped after thirty seconds', async (t) => {
  const { director, server } = await served(t)
  for (let port = 1000; port < 3000; port += 1)
    director.addService({ protocol: 'tcp', address: '192.0.2.81', port, scheduler: 'sh' })
  const client = peer(t, server)
  client.socket.pause()
  client.send('{"version":1,"id":1,"method":"snapshot"}\n')
  await turns(() => server.statistics.answered === 1)
  mock.timers.tick(30 * SECOND)
  await turns(() => server.statistics.clients === 0)
  t.is(server.statistics.slowReaders, 1)
})
