import { lstatSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { peer, scratch, served } from './control-peer.ts'
import { offlineWeb, webKey } from './web.ts'

const server3 = { address: '10.0.0.13', weight: 2 }

test('the socket is its owner’s alone, and goes with the server', async (t) => {
  const { server } = await served(t)
  t.is(lstatSync(server.path).mode % 0o1000, 0o600)
  await server.close()
  t.is(lstatSync(server.path, { throwIfNoEntry: false }), undefined)
})

test('ping says who is there', async (t) => {
  const { server } = await served(t)
  const answer = await peer(t, server).ask('ping', {}, 7)
  t.like(answer, { id: 7, result: { name: 'l4-director', pid: process.pid } })
})

test('commands are applied whole, in their order', async (t) => {
  const { director, server } = await served(t)
  const client = peer(t, server)
  const commands = [
    { type: 'add-server', service: webKey, server: server3 },
    { type: 'set-weight', service: webKey, server: { address: '10.0.0.11' }, weight: 0 },
  ]
  t.like(await client.ask('apply', { commands }), { result: { version: { ...director.version } } })
  t.deepEqual(
    director.services[0]?.servers.map(({ address, weight }) => [address, weight]),
    [
      ['10.0.0.13', 2],
      ['10.0.0.12', 1],
      ['10.0.0.11', 0],
    ],
  )
})

test('refused commands say which and why, and change nothing', async (t) => {
  const { director, server } = await served(t)
  const client = peer(t, server)
  const before = director.version
  const commands = [
    { type: 'add-server', service: webKey, server: server3 },
    { type: 'set-weight', service: webKey, server: { address: '10.0.0.99' }, weight: 1 },
  ]
  t.like(await client.ask('apply', { commands }), {
    error: { code: 'ERR_DIRECTOR_SERVER_NOT_FOUND', issues: [{ field: 'commands[1]' }] },
  })
  t.like(await client.ask('apply', { commands: [{ type: 'nonsense' }] }), {
    error: { code: 'ERR_DIRECTOR_INVALID_OPTIONS', issues: [{ field: 'commands[0].type' }] },
  })
  t.deepEqual(director.version, before)
})

test('a snapshot has configuration and statistics', async (t) => {
  const { director, server } = await served(t)
  const answer = await peer(t, server).ask('snapshot')
  t.like(answer?.['result'], {
    configuration: JSON.parse(JSON.stringify(director.configuration)),
    statistics: JSON.parse(JSON.stringify(director.snapshot())),
    control: { clients: 1, accepted: 1, refused: 0 },
  })
})

test('a snapshot of one service has no other, and none of one that is not there', async (t) => {
  const { director, server } = await served(t)
  director.apply([
    { type: 'add-service', service: { protocol: 'tcp', address: '192.0.2.90', port: 443, scheduler: 'rr' } },
  ])
  const client = peer(t, server)
  const answer = await client.ask('snapshot', { service: webKey })
  const { services, ...totals } = director.snapshot()
  t.is(services.length, 2)
  t.like(answer?.['result'], {
    configuration: JSON.parse(
      JSON.stringify({ ...director.configuration, services: director.configuration.services.slice(0, 1) }),
    ),
    statistics: JSON.parse(JSON.stringify({ ...totals, services: services.slice(0, 1) })),
  })
  t.deepEqual(director.snapshot(webKey).services, services.slice(0, 1))
  t.like(await client.ask('snapshot', { service: { ...webKey, port: 81 } }), {
    result: { configuration: { services: [] }, statistics: { services: [] } },
  })
  t.like(await client.ask('snapshot', { service: { protocol: 'tcp' } }), {
    error: {
      code: 'ERR_DIRECTOR_INVALID_OPTIONS',
      issues: [{ field: 'service.address' }, { field: 'service.port' }],
    },
  })
})

test('connections come in pages', async (t) => {
  const { server } = await served(t)
  const client = peer(t, server)
  t.deepEqual(await client.ask('connections', { limit: 1 }), { id: 1, result: { rows: [], cursor: null } })
  t.like(await client.ask('connections', { limit: 4097 }), { error: { code: 'ERR_DIRECTOR_OUT_OF_RANGE' } })
  t.like(await client.ask('connections', { filter: { nonsense: 1 } }), {
    error: { issues: [{ field: 'filter.nonsense' }] },
  })
})

test('a living socket is refused, a dead one replaced, a file left alone', async (t) => {
  const { server } = await served(t)
  const { director: other } = offlineWeb()
  await t.throwsAsync(other.serveControl(server.path), { code: 'ERR_DIRECTOR_CONTROL_IN_USE' })
  t.like(await peer(t, server).ask('ping'), { id: 1 })

  const file = join(scratch(t), 'file')
  writeFileSync(file, 'mine')
  await t.throwsAsync(other.serveControl(file), {
    code: 'ERR_DIRECTOR_CONTROL_SOCKET',
    message: /not a socket/,
  })
  await t.throwsAsync(other.serveControl(`/tmp/${'x'.repeat(100)}`), { message: /longer than/ })
  await t.throwsAsync(other.serveControl('/nonexistent/folder/sock'), { code: 'ERR_DIRECTOR_CONTROL_SOCKET' })
})
