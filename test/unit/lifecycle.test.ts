import { once } from 'node:events'
import test from 'ava'
import type { OutcomeText } from '../../lib/binding/outcome.ts'
import { textOf } from '../../lib/binding/text.ts'
import { service, startFake } from './fake/fake.ts'

const CLOSED = { code: 'ERR_DIRECTOR_CLOSED' }

test('closing twice is one closing, with one promise', async (t) => {
  const { director, core } = await startFake()
  const first = director.close()
  t.is(director.close(), first)
  t.is(director[Symbol.asyncDispose](), first)
  await first
  t.is(core.closed, 1)
  t.true(director.closed)
})

test('close is told once everything is undone', async (t) => {
  const { director } = await startFake()
  const told = once(director, 'close')
  await director.close()
  await t.notThrowsAsync(told)
})

test('every call after close refuses with ERR_DIRECTOR_CLOSED', async (t) => {
  const { director, core } = await startFake({}, (made) => {
    made.services = [service(80, [{ address: '10.0.0.11', weight: 1, active: 0 }])]
  })
  const [web] = director.services
  const server = web?.server('10.0.0.11')
  await director.close()
  const calls = [
    () => director.addService({ protocol: 'tcp', address: '192.0.2.1', port: 1, scheduler: 'sh' }),
    () => director.services,
    () => director.version,
    () => director.apply([]),
    () => director.set({}),
    () => director.clear(),
    () => director.statistics(),
    () => server?.pause(),
    () => web?.remove(),
  ]
  for (const call of calls) t.throws(call, CLOSED)
  await t.throwsAsync(director.snapshot(), CLOSED)
  await t.throwsAsync(director.zero(), CLOSED)
  await t.throwsAsync(async () => server?.drained(), CLOSED)
  await t.throwsAsync(async () => {
    for await (const row of director.connections()) t.log(row)
  }, CLOSED)
  t.is(director.ref(), director)
  t.is(director.unref(), director)
  t.deepEqual(core.commands, [])
})

test('a start whose signal was aborted before does nothing', async (t) => {
  const error = await t.throwsAsync(startFake({ signal: AbortSignal.abort('reason') }), {
    code: 'ERR_DIRECTOR_ABORTED',
  })
  t.is(error?.cause, 'reason')
})

const done: OutcomeText<null> = textOf({ value: null })

test('an abort during the start closes what was started before it rejects', async (t) => {
  const controller = new AbortController()
  const { promise, resolve } = withResolvers<OutcomeText<null>>()
  let closed = 0
  const start = startFake({ signal: controller.signal }, (core) => {
    core.started = promise
    core.close = () => {
      closed += 1
      return Promise.resolve(done)
    }
  })
  controller.abort()
  resolve(done)
  await t.throwsAsync(start, { code: 'ERR_DIRECTOR_ABORTED' })
  t.is(closed, 1)
})

test('a refused start rejects with the code of the refusal', async (t) => {
  const error = { code: 'interface-not-found', message: 'there is no interface "eth7"' }
  const start = startFake({}, (core) => {
    core.started = Promise.resolve(textOf({ error }))
  })
  await t.throwsAsync(start, { code: 'ERR_DIRECTOR_INTERFACE_NOT_FOUND', message: /eth7/ })
})

test('options of start become commands in their order', async (t) => {
  const { director, core } = await startFake({
    sloppy: { tcp: true },
    services: [
      {
        protocol: 'tcp',
        address: '192.0.2.80',
        port: 80,
        scheduler: 'sh',
        servers: [{ address: '10.0.0.11' }, { address: '10.0.0.12' }],
      },
    ],
  })
  const { services } = core.options as { services: { type: string }[] }
  t.deepEqual(
    services.map(({ type }) => type),
    ['settings', 'add-service', 'add-server', 'add-server'],
  )
  await director.close()
})

test('drained() rejects when the director closes or its signal aborts', async (t) => {
  const { director } = await startFake({}, (core) => {
    core.services = [service(80, [{ address: '10.0.0.11', weight: 0, active: 1 }])]
  })
  const [server] = director.services[0]?.servers ?? []
  const controller = new AbortController()
  const aborted = t.throwsAsync(async () => server?.drained({ signal: controller.signal }), {
    code: 'ERR_DIRECTOR_ABORTED',
  })
  const closed = t.throwsAsync(async () => server?.drained(), CLOSED)
  controller.abort()
  await aborted
  await director.close()
  await closed
})

test('drained() resolves when the last active connection has ended', async (t) => {
  const { director, core } = await startFake({}, (made) => {
    made.services = [service(80, [{ address: '10.0.0.11', weight: 0, active: 1 }])]
  })
  const [server] = director.services[0]?.servers ?? []
  const drained = server?.drained()
  core.services = [service(80, [{ address: '10.0.0.11', weight: 0, active: 0 }])]
  const identity = { protocol: 'tcp', address: '192.0.2.80', port: 80 } as const
  core.tell({ type: 'server-idle', id: 0, service: identity, server: '10.0.0.11:80' })
  await t.notThrowsAsync(async () => drained)
  await director.close()
})

test('statistics end when the director closes, and reject when their signal aborts', async (t) => {
  const { director } = await startFake()
  const controller = new AbortController()
  const aborted = director.statistics({ intervalMs: 60_000, signal: controller.signal })
  await aborted.next()
  controller.abort()
  await t.throwsAsync(async () => aborted.next(), { code: 'ERR_DIRECTOR_ABORTED' })
  const ended = director.statistics({ intervalMs: 60_000 })
  await ended.next()
  const next = ended.next()
  await director.close()
  t.deepEqual(await next, { value: undefined, done: true })
})

test('connections are listed page by page', async (t) => {
  const { director } = await startFake()
  const clients = new Set<string>()
  for await (const { client } of director.connections()) clients.add(client)
  t.is(clients.size, 2048)
  await director.close()
})

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
