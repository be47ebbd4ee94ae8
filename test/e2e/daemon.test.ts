import { writeFileSync } from 'node:fs'

import test, { type ExecutionContext } from 'ava'

import type { ServiceOptions } from '../../lib/index.ts'
import { Lab } from '../lab/topology.ts'
import { DaemonHost } from './daemon-host.ts'

async function openHost(t: ExecutionContext): Promise<DaemonHost> {
  const lab = await Lab.create({ directors: 1, servers: 1 })
  t.teardown(() => lab.close())
  return DaemonHost.open(t, lab.director(1))
}

function service(port: number, weight = 1): ServiceOptions {
  const servers = [{ address: '10.9.0.1' }, { address: '10.9.0.2', weight }]
  return { protocol: 'tcp', address: '192.0.2.80', port, scheduler: 'sh', servers }
}

test('a daemon starts, reloads by difference, keeps what it has when the file is wrong, and stops', async (t) => {
  const host = await openHost(t)
  host.write([service(80), service(81)])
  const daemon = await host.started()
  const client = await host.client()
  const { configuration } = await client.snapshot()
  t.is(configuration.services.length, 2)

  host.write([service(80), service(81, 7), service(82)])
  const reloaded = daemon.waitFor('the reload', ({ event }) => event === 'reloaded')
  process.kill(Number((await client.ping()).pid), 'SIGHUP')
  t.like(await reloaded, { level: 'info', commands: 4 })
  const { version } = (await client.snapshot()).configuration

  writeFileSync(
    host.config,
    '{\n  "interfaces": ["x"],\n  "services": [\n    { "protocol": "tcp" }\n  ]\n}\n',
  )
  const error = await t.throwsAsync(client.call('reload'), { code: 'ERR_DIRECTOR_INVALID_OPTIONS' })
  t.regex(error?.message ?? '', /director\.json:4: services\[0\]\.address: is missing/)
  t.like(await daemon.message('reload-refused'), { level: 'error', line: 4, file: host.config })
  t.deepEqual((await client.snapshot()).configuration.version, version)

  host.write([service(80), service(81, 7)], { workers: 2 })
  t.like(await client.call('reload'), { version: { number: version.number + 1 } })
  t.deepEqual((await daemon.message('restart-needed'))['options'], ['workers'])

  t.deepEqual(await daemon.kill('SIGTERM'), { status: 0, signal: null })
  t.is(await host.filters(), '')
  await t.throwsAsync(host.client(), { code: 'ERR_DIRECTOR_CONTROL_SOCKET' })
})

test('a second daemon is refused; after a crash it takes over socket and guard', async (t) => {
  const host = await openHost(t)
  host.write([service(80)])
  const first = await host.started()
  const second = host.run('second')
  t.like(await second.message('not-started'), { code: 'ERR_DIRECTOR_SERVICE_IN_USE' })
  t.is((await second.exited).status, 1)
  await first.kill('SIGKILL')
  t.not(await host.filters(), '')
  const third = await host.started()
  await using client = await host.client()
  t.is((await client.snapshot()).configuration.services.length, 1)
  await client.call('shutdown')
  t.is((await third.exited).status, 0)
  t.is(await host.filters(), '')
})

test('a daemon whose log nobody reads goes on, and ends in order', async (t) => {
  const host = await openHost(t)
  host.write([service(80)])
  const daemon = host.runUnread()
  await daemon.message('started')
  await using client = await host.client()
  for (const port of [81, 82]) {
    host.write([service(80), service(port)])
    await client.call('reload')
  }
  t.is((await client.snapshot()).configuration.services.length, 2)
  await client.call('shutdown')
  t.like(await daemon.message('ended'), { status: 0 })
  t.is(await host.filters(), '')
  t.regex(daemon.complaints, /the log cannot be written: .*EPIPE/)
})

test('an idle daemon drains at once; its servers refuse what is new', async (t) => {
  const host = await openHost(t)
  host.write([service(80)], { drain: { deadlineSeconds: 60, refuseNew: true } })
  const daemon = await host.started()
  t.is((await daemon.kill('SIGTERM')).status, 0)
  t.like(await daemon.message('drained'), { activeConnections: 0 })
})
