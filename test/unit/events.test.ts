import { once } from 'node:events'
import test from 'ava'
import type { CoreEvent } from '../../lib/events.ts'
import type { DirectorError } from '../../lib/index.ts'
import { service, startFake } from './fake/fake.ts'

const web = { protocol: 'tcp', address: '192.0.2.80', port: 80 } as const
const up: CoreEvent = { type: 'interface-up', interface: 'eth0' }

test("the core's events arrive under their names", async (t) => {
  const { director, core } = await startFake()
  const heard: unknown[] = []
  director.on('adopted', (event) => heard.push(event))
  director.on('serverDrained', (event) => heard.push(event))
  director.on('interfaceDown', (event) => heard.push(event))
  director.on('eventsLost', (event) => heard.push(event))
  const adopted = {
    service: web,
    cause: 'tcp-ack',
    count: 3,
    fallbackCount: 1,
    client: 'c',
    server: 's',
  } as const
  core.tell(
    { type: 'adopted', ...adopted },
    { type: 'server-idle', id: 1, service: web, server: '10.0.0.11:80' },
    { type: 'interface-down', interface: 'eth0', reason: 'gone' },
    { type: 'lost', count: 9 },
  )
  t.deepEqual(heard, [
    adopted,
    { service: web, server: '10.0.0.11:80' },
    { interface: 'eth0', reason: 'gone' },
    { count: 9 },
  ])
  await director.close()
})

test('a listener that throws stops neither the others nor the events behind it', async (t) => {
  const { director, core } = await startFake()
  const cause = new Error('mine')
  const heard: string[] = []
  const errors: DirectorError[] = []
  director.on('error', (error) => errors.push(error))
  director.on('interfaceUp', () => {
    throw cause
  })
  director.on('interfaceUp', () => heard.push('second listener'))
  director.on('interfaceDown', () => heard.push('next event'))
  core.tell(up, { type: 'interface-down', interface: 'eth0', reason: 'gone' })
  t.deepEqual(heard, ['second listener', 'next event'])
  t.deepEqual(
    errors.map(({ code }) => code),
    ['ERR_DIRECTOR_LISTENER_FAILED'],
  )
  t.is(errors[0]?.cause, cause)
  await director.close()
})

test('a once() listener hears one event', async (t) => {
  const { director, core } = await startFake()
  let heard = 0
  director.once('interfaceUp', () => (heard += 1))
  core.tell(up, up)
  t.is(heard, 1)
  await director.close()
})

test.serial('an error nobody listens for is an uncaught exception, and the director goes on', async (t) => {
  const { director, core } = await startFake()
  const listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  const uncaught = once(process, 'uncaughtException')
  core.tell({ type: 'error', code: 'guard-failed', message: 'the guard is gone' })
  const [error] = (await uncaught) as [DirectorError]
  for (const listener of listeners) process.on('uncaughtException', listener)
  t.is(error.code, 'ERR_DIRECTOR_GUARD_FAILED')
  t.false(director.closed)
  await director.close()
})

test('a fault of a worker is told and the director closes', async (t) => {
  const { director, core } = await startFake()
  const errors: DirectorError[] = []
  const closed = new Promise<void>((resolve) => director.on('close', resolve))
  director.on('error', (error) => errors.push(error))
  core.tell({ type: 'worker-fault', worker: 0, message: 'index out of bounds' })
  await closed
  t.deepEqual(
    errors.map(({ code }) => code),
    ['ERR_DIRECTOR_WORKER_FAULT'],
  )
  t.is(core.closed, 1)
})

test('events that came before the first listener could be added are not lost', async (t) => {
  const { director } = await startFake({}, (core) => core.events.push(up))
  const [event] = (await once(director, 'interfaceUp')) as unknown[]
  t.deepEqual(event, { interface: 'eth0' })
  await director.close()
})

test('pausing tells serverQuiesced, once', async (t) => {
  const { director, core } = await startFake({}, (made) => {
    made.services = [service(80, [{ address: '10.0.0.11', weight: 2, active: 0 }])]
  })
  const heard: unknown[] = []
  director.on('serverQuiesced', (event) => heard.push(event))
  const [server] = director.services[0]?.servers ?? []
  server?.pause()
  core.services = [service(80, [{ address: '10.0.0.11', weight: 0, active: 0 }])]
  director.set({})
  server?.setWeight(0)
  t.deepEqual(heard, [{ service: web, server: '10.0.0.11:80' }])
  t.true(server?.paused)
  server?.resume()
  t.deepEqual(core.commands.at(-1), {
    type: 'set-weight',
    service: web,
    server: { address: '10.0.0.11', port: 80 },
    weight: 2,
  })
  t.false(server?.paused)
  await director.close()
})
