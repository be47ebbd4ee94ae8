import test from 'ava'
import { Director } from 'l4-director'

import { clientAddresses, serverAddress, virtualAddress } from '../lab/addresses.ts'
import { directorOptions } from '../lab/director-options.ts'
import { finish, Stage } from './stage.ts'

const connections = 240
const sourcePort = 20_000
const pausedServer = 2

/** The source of connection `id`: `tcp-long` uses addresses in turn, then the next port. */
function tuple(id: number): { clientAddress: string; clientPort: number } {
  const addresses = clientAddresses(8)
  const clientAddress = addresses[id % addresses.length] ?? ''
  return { clientAddress, clientPort: sourcePort + Math.floor(id / addresses.length) }
}

/** Which connections an offline director of the same configuration sends to the paused server. */
async function share(fallback: boolean): Promise<number[]> {
  const offline = Director.offline()
  const { services } = directorOptions({ fallback }) as {
    services: Parameters<typeof offline.addService>[0][]
  }
  for (const service of services) offline.addService(service)
  const flow = { protocol: 'tcp', virtualAddress: virtualAddress.ipv4, virtualPort: 80 } as const
  const ids = Array.from({ length: connections }, (_, id) => id)
  return ids.filter((id) => {
    const explanation = offline.explain({ ...flow, ...tuple(id) })
    return explanation.server?.address === serverAddress(pausedServer)
  })
}

test('without sh-fallback, a pause refuses exactly the new connections of that server', async (t) => {
  const stage = await Stage.open(t, {}, { fallback: false })
  await stage.serve('tcp-server')
  await stage.cluster.callAll('pause', { server: serverAddress(pausedServer) })
  const client = stage.client('tcp-long', { connections, sourcePort, intervalMs: 200 })
  const refused: number[] = []
  client.onMessage(({ event, id, cause }) => {
    if (event === 'broken' && cause === 'connect-refused') refused.push(Number(id))
  })
  const connected = await client.message('connected')
  const expected = await share(false)
  t.true(expected.length > 0)
  t.deepEqual(
    refused.toSorted((a, b) => a - b),
    expected,
  )
  t.like(connected, { up: connections - expected.length, causes: { 'connect-refused': expected.length } })
  await finish(client)
})

test('with sh-fallback, a pause refuses nothing and the others take that share', async (t) => {
  const stage = await Stage.open(t)
  await stage.serve('tcp-server')
  await stage.cluster.callAll('pause', { server: serverAddress(pausedServer) })
  const client = stage.client('tcp-long', { connections, sourcePort, intervalMs: 200 })
  const connected = await client.message('connected')
  t.like(connected, { up: connections, broken: 0, causes: {} })
  t.deepEqual(Object.keys(connected['servers'] as object), ['server1', 'server3'])
  const { exit } = await finish(client)
  t.is(exit.status, 0)
})

test('connections of a paused server go on; drained() resolves when they have ended', async (t) => {
  const stage = await Stage.open(t, { directors: 1 })
  await stage.serve('tcp-server')
  const client = stage.client('tcp-long', { connections, intervalMs: 50 })
  const connected = await client.message('connected')
  const onPaused = (connected['servers'] as Record<string, number>)[`server${pausedServer}`] ?? 0
  t.true(onPaused > 0)
  await stage.cluster.callAll('pause', { server: serverAddress(pausedServer) })
  const drained = stage.cluster.callAll('drained', { server: serverAddress(pausedServer) })
  await client.waitFor('records', ({ records }) => Number(records) > 10 * connections)
  t.like(client.latest('state'), { up: connections, broken: 0 })
  client.write(`close-server server${pausedServer}`)
  await drained
  await client.waitFor('the rest', ({ up }) => up === connections - onPaused)
  const { summary } = await finish(client)
  t.like(summary, { broken: 0, closed: connections })
})
