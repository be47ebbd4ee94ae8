import { getEventListeners, once } from 'node:events'
import { createServer } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { onAbort, pause } from '../../lib/abort.ts'
import { drained } from '../../lib/daemon/draining.ts'
import { ControlClient } from '../../lib/index.ts'
import type { Director, RealServer } from '../../lib/index.ts'
import { collectingUntil } from './collector.ts'
import { service, startFake } from './fake/fake.ts'

const ABORTED = { code: 'ERR_DIRECTOR_ABORTED' }
const LONG_MS = 86_400_000

/** A director whose one server has a connection that does not end. */
async function busy(t: ExecutionContext): Promise<{ director: Director; server: RealServer }> {
  const { director } = await startFake({}, (core) => {
    core.services = [service(80, [{ address: '10.0.0.11', weight: 1, active: 1 }])]
  })
  t.teardown(() => director.close())
  const server = director.services[0]?.servers[0]
  return { director, server: server ?? t.fail() }
}

/** A control socket that takes requests and never answers. */
async function silentClient(t: ExecutionContext): Promise<ControlClient> {
  const folder = mkdtempSync(join(tmpdir(), 'l4-silent-'))
  const server = createServer((socket) => socket.resume()).listen(join(folder, 's'))
  await once(server, 'listening')
  const client = await ControlClient.connect({ path: join(folder, 's') })
  t.teardown(() => {
    client.close()
    server.close()
    rmSync(folder, { recursive: true })
  })
  return client
}

/** What a signal still holds: listeners, and signals that `AbortSignal.any()` made of it. */
function heldBy(signal: AbortSignal): number {
  const dependants = Object.getOwnPropertySymbols(signal)
    .filter((symbol) => String(symbol).includes('kDependantSignals'))
    .map((symbol) => (Reflect.get(signal, symbol) as ReadonlySet<unknown>).size)
  return getEventListeners(signal, 'abort').length + dependants.reduce((sum, size) => sum + size, 0)
}

test('a deadline of the daemon outlives garbage collections', async (t) => {
  const { director } = await busy(t)
  t.is(await collectingUntil(drained(director, 300, new AbortController().signal)), 1)
})

test('a second signal ends the wait before the deadline', async (t) => {
  const { director } = await busy(t)
  const stopping = new AbortController()
  const left = drained(director, LONG_MS, stopping.signal)
  setImmediate(() => stopping.abort())
  t.is(await left, 1)
  t.is(heldBy(stopping.signal), 0)
})

test('waits outlive garbage collections although nothing else holds their signals', async (t) => {
  const { director, server } = await busy(t)
  const soon = (): AbortSignal => AbortSignal.timeout(100)
  await t.throwsAsync(collectingUntil(server.drained({ signal: soon() })), ABORTED)
  const statistics = director.statistics({ intervalMs: LONG_MS, signal: soon() })
  await statistics.next()
  await t.throwsAsync(collectingUntil(statistics.next()), ABORTED)
  const client = await silentClient(t)
  await t.throwsAsync(collectingUntil(client.events(['close'], { signal: soon() }).next()), ABORTED)
})

test.serial('many waits on one signal warn of nothing, and it holds nothing afterwards', async (t) => {
  const warnings: Error[] = []
  const warned = (warning: Error): void => void warnings.push(warning)
  process.on('warning', warned)
  t.teardown(() => process.off('warning', warned))
  const { director, server } = await busy(t)
  const long = new AbortController()
  const { signal } = long
  const iterators = Array.from({ length: 30 }, () => director.statistics({ intervalMs: LONG_MS, signal }))
  for (const iterator of iterators) await iterator.next()
  const waits = iterators.map((iterator) => iterator.next())
  const drains = Array.from({ length: 30 }, () => t.throwsAsync(server.drained({ signal }), ABORTED))
  const client = await silentClient(t)
  const told = Array.from({ length: 30 }, () => client.events(['close'], { signal }))
  const events = told.map((each) => t.throwsAsync(each.next(), ABORTED))
  t.is(heldBy(signal), 1)
  for (const iterator of iterators.slice(1)) await iterator.return?.()
  const given = await Promise.all(waits.slice(1))
  t.true(given.every(({ done }) => done))
  long.abort()
  await t.throwsAsync(waits[0] ?? t.fail(), ABORTED)
  await Promise.all([...drains, ...events])
  t.is(heldBy(signal), 0)
  // Warnings are told in a later turn.
  await new Promise((resolve) => setImmediate(resolve))
  t.deepEqual(warnings, [])
})

test('iterations that were given up leave nothing at a signal that lives on', async (t) => {
  const { director } = await busy(t)
  const { signal } = new AbortController()
  for (let round = 0; round < 100; round += 1)
    for await (const _ of director.statistics({ intervalMs: LONG_MS, signal })) break
  await new Promise((resolve) => setImmediate(resolve))
  t.is(heldBy(signal), 0)
})

test('return() ends an iteration at once, also one that waits', async (t) => {
  const { director } = await busy(t)
  const client = await silentClient(t)
  const statistics = director.statistics({ intervalMs: LONG_MS })
  await statistics.next()
  const over = { done: true, value: undefined }
  for (const iterator of [
    statistics,
    client.events(['close']),
    client.statistics({ intervalMs: LONG_MS }),
    client.connections(),
  ]) {
    const waiting = iterator.next()
    t.deepEqual(await iterator.return?.(), over)
    t.deepEqual(await waiting, over)
    t.deepEqual(await iterator.next(), over)
  }
  await t.throwsAsync(director.statistics().throw?.(new Error('enough')) ?? t.fail(), { message: 'enough' })
  await using disposed = client.events(['close'])
  t.is(disposed[Symbol.asyncIterator](), disposed)
})

test('a wait that was given up is not told, and others of its signal are', (t) => {
  const controller = new AbortController()
  const told: string[] = []
  const release = onAbort(controller.signal, () => told.push('one'))
  onAbort(controller.signal, () => told.push('two'))
  release()
  release()
  controller.abort()
  onAbort(controller.signal, () => told.push('late'))
  t.deepEqual(told, ['two', 'late'])
})

test('a pause ends with its time, with any of its signals, and with one that was aborted', async (t) => {
  const controller = new AbortController()
  await pause(1, controller.signal, undefined)
  t.is(heldBy(controller.signal), 0)
  const paused = pause(LONG_MS, new AbortController().signal, controller.signal)
  controller.abort()
  await paused
  await t.notThrowsAsync(pause(LONG_MS, controller.signal))
})
