import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { peer, scratch, served } from './control-peer.ts'
import { offlineWeb } from './web.ts'

const ping = '{"version":1,"id":1,"method":"ping"}\n'
const REQUEST = { code: 'ERR_DIRECTOR_CONTROL_REQUEST' }

test('garbage is refused line by line, and the connection goes on', async (t) => {
  const { server } = await served(t)
  const client = peer(t, server)
  const garbage = [
    '',
    'x',
    '{',
    'null',
    '[]',
    '"text"',
    '{"version":1}',
    '{"version":1,"id":-1,"method":"ping"}',
  ]
  for (const line of [
    ...garbage,
    '{"version":1,"id":1,"method":"ping","more":1}',
    '{"version":1,"id":1,"method":7}',
  ]) {
    client.send(`${line}\n`)
    const refused = await client.line()
    t.true('error' in (refused ?? {}), line)
  }
  client.send(Buffer.from([0xff, 0xfe, 0x0a]))
  t.like(await client.line(), { id: null, error: REQUEST })
  client.send(ping)
  t.like(await client.line(), { id: 1, result: { name: 'l4-director' } })
  t.like(server.statistics, { refused: 11, answered: 1 })
})

test('an unknown version is told which are served, and the connection closed', async (t) => {
  const { server } = await served(t)
  const client = peer(t, server)
  client.send('{"version":2,"id":3,"method":"ping"}\n')
  t.like(await client.line(), { id: 3, error: { code: 'ERR_DIRECTOR_CONTROL_VERSION' } })
  await client.closed()
  t.pass()
})

test('an unknown method is told which are served', async (t) => {
  const { server } = await served(t)
  for (const method of ['nonsense', 'constructor', '__proto__']) {
    const answer = await peer(t, server).ask(method)
    t.like(answer, { error: { code: 'ERR_DIRECTOR_CONTROL_METHOD' } })
    t.regex(JSON.stringify(answer), /served are ping, apply/)
  }
})

test('a request may come octet by octet, and many may come at once', async (t) => {
  const { server } = await served(t)
  const slow = peer(t, server)
  for (const octet of ping) slow.send(octet)
  t.like(await slow.line(), { id: 1, result: { name: 'l4-director' } })
  const fast = peer(t, server)
  const ids = Array.from({ length: 500 }, (_, id) => id)
  fast.send(ids.map((id) => `{"version":1,"id":${id},"method":"snapshot"}\n`).join(''))
  for (const id of ids) t.is((await fast.line())?.['id'], id)
})

test('a line that is too long is refused and its sender cut off', async (t) => {
  const { server } = await served(t)
  const client = peer(t, server)
  client.send(Buffer.alloc((1 << 20) + 1, 'x'))
  t.like(await client.line(), { id: null, error: REQUEST })
  await client.closed()
  t.is(server.statistics.oversized, 1)
})

test('a half line whose sender goes away is forgotten', async (t) => {
  const { server } = await served(t)
  const client = peer(t, server)
  client.send(`${ping}{"version":1,"id":2,"method":"cle`)
  t.like(await client.line(), { id: 1 })
  client.socket.destroy()
  await client.closed()
  t.like(await peer(t, server).ask('ping'), { id: 1 })
  t.like(server.statistics, { clients: 1, answered: 2, refused: 0 })
})

test('more clients than there is room for are told so', async (t) => {
  const { server } = await served(t)
  const clients = Array.from({ length: 64 }, () => peer(t, server))
  for (const client of clients) t.like(await client.ask('ping'), { id: 1 })
  const oneMore = peer(t, server)
  t.like(await oneMore.line(), { id: null, error: { code: 'ERR_DIRECTOR_CONTROL_BUSY' } })
  await oneMore.closed()
  t.like(server.statistics, { clients: 64, tooMany: 1 })
})

test('subscriptions are bounded, and their numbers unique', async (t) => {
  const { server } = await served(t)
  const client = peer(t, server)
  for (let id = 0; id < 16; id += 1)
    t.like(await client.ask('subscribe', { events: ['adopted'] }, id), { id })
  t.like(await client.ask('subscribe', {}, 3), { error: REQUEST })
  t.like(await client.ask('subscribe', {}, 16), { error: { code: 'ERR_DIRECTOR_CONTROL_BUSY' } })
  t.like(await client.ask('unsubscribe', { subscription: 3 }, 99), { result: {} })
  t.like(await client.ask('subscribe', {}, 16), { result: {} })
  t.like(await client.ask('subscribe', { events: ['nonsense'] }, 17), {
    error: { code: 'ERR_DIRECTOR_INVALID_OPTIONS' },
  })
})

test('a subscriber that does not read is dropped, and nobody waits for it', async (t) => {
  const { director, server } = await served(t)
  const client = peer(t, server)
  const names = ['serverQuiesced']
  for (let id = 0; id < 16; id += 1) t.like(await client.ask('subscribe', { events: names }, id), { id })
  client.socket.pause()
  const server11 = director.services[0]?.server('10.0.0.11')
  while (server.statistics.slowReaders === 0) server11?.pause().resume()
  t.is(server.statistics.slowReaders, 1)
  t.like(await peer(t, server).ask('ping'), { id: 1 })
})

test('property: whatever octets come in, the server answers the next client', async (t) => {
  const { director, server } = await served(t)
  const before = director.version
  const lines = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((octets) => Buffer.from(octets)),
    fc.json().map((json) => Buffer.from(`${json}\n`)),
    fc
      .record({
        version: fc.constant(1),
        id: fc.nat(),
        method: fc.constantFrom('apply', 'connections'),
        params: fc.jsonValue(),
      })
      .map((request) => Buffer.from(`${JSON.stringify(request)}\n`)),
  )
  const garbage = fc.asyncProperty(fc.array(lines, { maxLength: 5 }), async (chunks) => {
    const socket = connect(server.path)
    socket.on('error', () => undefined).resume()
    socket.end(Buffer.concat(chunks))
    await once(socket, 'close')
  })
  await fc.assert(garbage, { numRuns: 200 })
  t.like(await peer(t, server).ask('ping'), { id: 1 })
  t.deepEqual(director.version, before)
})

test('the socket of a process that was killed is replaced', async (t) => {
  const path = join(scratch(t), 'control.sock')
  const program = `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  const { director } = offlineWeb()
  await t.throwsAsync(director.serveControl(path), { code: 'ERR_DIRECTOR_CONTROL_IN_USE' })
  child.kill('SIGKILL')
  await once(child, 'close')
  t.true(existsSync(path))
  const server = await director.serveControl(path)
  t.teardown(() => server.close())
  t.like(await peer(t, server).ask('ping'), { result: { pid: process.pid } })
})

test('of several that start at once, one gets the path', async (t) => {
  const path = join(scratch(t), 'control.sock')
  const starts = Array.from({ length: 8 }, () => offlineWeb().director.serveControl(path))
  const results = await Promise.allSettled(starts)
  const servers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  t.is(servers.length, 1)
  for (const result of results)
    if (result.status === 'rejected') t.is(result.reason.code, 'ERR_DIRECTOR_CONTROL_IN_USE')
  await servers[0]?.close()
  t.false(existsSync(path))
})
