import { once } from 'node:events'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { ControlClient, isDirectorError } from '../../lib/index.ts'
import type { ControlEvent, ControlServer } from '../../lib/index.ts'
import { served } from './control-peer.ts'
import { webKey } from './web.ts'

async function connected(t: ExecutionContext, server: ControlServer): Promise<ControlClient> {
  const client = await ControlClient.connect({ path: server.path })
  t.teardown(() => client.close())
  return client
}

/** Resolves when a condition holds; looks at it with each turn of the event loop. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

test('a client does what the director does', async (t) => {
  const { director, server } = await served(t)
  const client = await connected(t, server)
  t.like(await client.ping(), { name: 'l4-director', pid: process.pid })
  const version = await client.apply([
    { type: 'set-weight', service: webKey, server: { address: '10.0.0.11' }, weight: 7 },
  ])
  t.deepEqual(version, { ...director.version })
  const { configuration, statistics } = await client.snapshot()
  t.deepEqual(
    configuration.services[0]?.servers.map((one) => one.weight),
    [1, 7],
  )
  t.is(statistics.services.length, 1)
  const rows: unknown[] = []
  for await (const row of client.connections({ client: '192.0.2.1' })) rows.push(row)
  t.deepEqual(rows, [])
  await client.zero(webKey)
  const flow = {
    protocol: 'tcp',
    clientAddress: '192.0.2.1',
    clientPort: 1,
    virtualAddress: webKey.address,
    virtualPort: 80,
  } as const
  t.deepEqual(await client.explain(flow), JSON.parse(JSON.stringify(director.explain(flow))))
})

test('a refusal is the director’s own error', async (t) => {
  const { server } = await served(t)
  const client = await connected(t, server)
  const error = await t.throwsAsync(
    client.apply([{ type: 'remove-service', service: { ...webKey, port: 81 } }]),
  )
  t.true(isDirectorError(error))
  t.like(error, { code: 'ERR_DIRECTOR_SERVICE_NOT_FOUND', issues: [{ field: 'commands[0]' }] })
  await t.throwsAsync(client.call('reload'), { code: 'ERR_DIRECTOR_CONTROL_METHOD' })
})

test('events are told while somebody asks for them', async (t) => {
  const { director, server } = await served(t)
  const client = await connected(t, server)
  const events = client.events(['serverQuiesced'])
  const first = events.next()
  await until(() => server.statistics.subscriptions === 1)
  director.service(webKey)?.server('10.0.0.11')?.pause()
  const expected: ControlEvent<'serverQuiesced'> = {
    name: 'serverQuiesced',
    data: { service: webKey, server: '10.0.0.11:80' },
  }
  t.deepEqual((await first).value, expected)
  t.deepEqual(await events.return(), { done: true, value: undefined })
  await until(() => server.statistics.subscriptions === 0)
})

test('a director’s error is told and stays an uncaught one', async (t) => {
  const { director, server } = await served(t)
  const client = await connected(t, server)
  const events = client.events(['error'])
  const first = events.next()
  await until(() => server.statistics.subscriptions === 1)
  t.is(director.listenerCount('error'), 0)
  const caught = once(director, 'error')
  director.once('serverQuiesced', () => {
    throw new Error('mine')
  })
  director.service(webKey)?.server('10.0.0.11')?.pause()
  await caught
  t.like((await first).value, { name: 'error', data: { code: 'ERR_DIRECTOR_LISTENER_FAILED' } })
})

test('statistics come at an interval, the first at once, until aborted', async (t) => {
  const { server } = await served(t)
  const client = await connected(t, server)
  const abort = new AbortController()
  const statistics = client.statistics({ intervalMs: 100, signal: abort.signal })
  t.is((await statistics.next()).value?.services.length, 1)
  t.is((await statistics.next()).value?.services.length, 1)
  abort.abort('enough')
  await t.throwsAsync(statistics.next(), { code: 'ERR_DIRECTOR_ABORTED' })
  await until(() => server.statistics.subscriptions === 0)
  await t.throwsAsync(client.statistics({ intervalMs: 99 }).next(), { code: 'ERR_DIRECTOR_OUT_OF_RANGE' })
})

test('a client that disappears mid-subscription leaves nothing behind', async (t) => {
  const { director, server } = await served(t)
  const client = await connected(t, server)
  const events = client.events(['serverQuiesced'])
  const first = events.next()
  await until(() => server.statistics.subscriptions === 1)
  client.close()
  t.true((await first).done)
  await until(() => server.statistics.clients === 0)
  t.is(server.statistics.subscriptions, 0)
  t.notThrows(() => director.service(webKey)?.server('10.0.0.11')?.pause())
})

test('a server that closes ends what its clients wait for', async (t) => {
  const { server } = await served(t)
  const client = await connected(t, server)
  const next = client.events(['adopted']).next()
  await until(() => server.statistics.subscriptions === 1)
  await server.close()
  await t.throwsAsync(next, { code: 'ERR_DIRECTOR_CONTROL_SOCKET' })
  await t.throwsAsync(client.ping(), { code: 'ERR_DIRECTOR_CONTROL_SOCKET' })
  await t.throwsAsync(ControlClient.connect({ path: server.path }), { code: 'ERR_DIRECTOR_CONTROL_SOCKET' })
})

test('a request too long for the socket is refused before it is sent', async (t) => {
  const { server } = await served(t)
  const client = await connected(t, server)
  await t.throwsAsync(client.call('ping', { long: 'x'.repeat(1 << 20) }), {
    code: 'ERR_DIRECTOR_CONTROL_REQUEST',
  })
  t.like(await client.ping(), { pid: process.pid })
})
