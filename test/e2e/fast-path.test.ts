import test from 'ava'

import type { LiveStatistics } from '../../lib/index.ts'
import { serverAddress } from '../lab/addresses.ts'
import { directorOptions } from '../lab/director-options.ts'
import { DirectorProgram, DirectorRefusal } from '../lab/director-program.ts'
import type { Message } from '../lab/lab-process.ts'
import { hostInterface } from '../lab/topology.ts'
import { capabilities, isPermitted } from './fast-path-right.ts'
import { ended, exchanged, finish, Stage } from './stage.ts'

const megabyte = 1_000_000

async function statisticsOf(director: DirectorProgram): Promise<LiveStatistics> {
  return (await director.call('snapshot')) as LiveStatistics
}

/** What a lab without the right has to show instead: the refusal, by its code. */
async function isRefused(stage: Stage, options: object, through?: readonly string[]): Promise<void> {
  const start = DirectorProgram.start(stage.lab, 1, options, through === undefined ? {} : { through })
  const refusal = await stage.t.throwsAsync(start, { instanceOf: DirectorRefusal })
  stage.t.is(refusal?.code, 'ERR_DIRECTOR_FAST_PATH')
}

function hasConnections(count: number): (message: Message) => boolean {
  return ({ event, statistics }) =>
    event === 'statistics' && (statistics as LiveStatistics).connections >= count
}

function hasFastConnections(count: number): (message: Message) => boolean {
  return ({ event, statistics }) =>
    event === 'statistics' && (statistics as LiveStatistics).fastPath.connections >= count
}

const required = { fastPath: true }

for (const family of ['ipv4', 'ipv6'] as const) {
  test(`${family}: bulk connections take the fast path and stay whole, followed and counted`, async (t) => {
    const options = directorOptions({ families: [family], more: required })
    const stage = await Stage.build(t, { directors: 1 }, options)
    if (!(await isPermitted())) return isRefused(stage, options)
    await stage.cluster.startAll()
    t.teardown(() => stage.cluster.close())
    await stage.serve('bulk-server', [family])
    const bulk = { bytes: 400 * megabyte, streams: 2, verify: true, stallMs: 20_000 }
    const { exit, summary } = await ended(stage.client('bulk-client', bulk, family))
    t.is(exit.status, 0, JSON.stringify(summary))
    t.is(summary['bytes'], 800 * megabyte)
    const { traffic, fastPath, services } = await statisticsOf(stage.cluster.director(1))
    t.true(fastPath.octets > 400 * megabyte, JSON.stringify(fastPath))
    t.true(traffic.inOctets > 800 * megabyte, `octets: ${traffic.inOctets}`)
    t.is(traffic.connections, 2)
    // Both ended, as the director knows.
    t.is(fastPath.connections, 0)
    const active = (services[0]?.servers ?? []).map((server) => server.activeConnections)
    t.deepEqual(active, [0, 0, 0])
  })
}

for (const family of ['ipv4', 'ipv6'] as const) {
  test(`${family}: heavy UDP flows take the fast path, stay with their server and lose nothing`, async (t) => {
    const options = directorOptions({ families: [family], protocols: ['udp'], more: required })
    const stage = await Stage.build(t, { directors: 1 }, options)
    if (!(await isPermitted())) return isRefused(stage, options)
    await stage.cluster.startAll()
    t.teardown(() => stage.cluster.close())
    await stage.serve('udp-echo', [family])
    // 1000 datagrams a second each, where 900 are enough.
    const { exit, summary } = await ended(
      stage.client('udp-client', { flows: 2, count: 5000, intervalMs: 1 }, family),
    )
    t.is(exit.status, 0, JSON.stringify(summary))
    t.like(summary, { sent: 10_000, answered: 10_000, lost: 0, refused: 0, moved: 0 })
    const { fastPath, traffic } = await statisticsOf(stage.cluster.director(1))
    t.true(fastPath.packets > 1000 && fastPath.packets < 10_000, JSON.stringify(fastPath))
    t.is(traffic.connections, 2)
  })
}

test('bulk connections outlive a killed director, then a paused server', async (t) => {
  const stage = await Stage.open(t, {}, { more: { fastPath: await isPermitted() } })
  await stage.serve('bulk-server')
  const client = stage.client('bulk-client', { seconds: 8, streams: 6, verify: true, stallMs: 20_000 })
  await client.waitFor('some data', (message) => Number(message['bytes']) > 200 * megabyte)
  const second = stage.cluster.director(2)
  const all = second.process.waitFor('that every connection is here', hasConnections(6))
  await stage.cluster.kill(1)
  await all
  // Not before: who adopts a connection of a paused server sends it elsewhere (docs, what survives).
  await second.call('pause', { server: serverAddress(1) })
  const { exit, summary } = await ended(client)
  t.is(exit.status, 0, JSON.stringify(summary))
  t.like(summary, { broken: 0 })
  const { fastPath } = await statisticsOf(second)
  t.is(fastPath.packets > 0, await isPermitted(), JSON.stringify(fastPath))
})

test('lively connections go on while the director stands still', async (t) => {
  const connections = 20
  const options = directorOptions({ more: required })
  const stage = await Stage.build(t, { directors: 1 }, options)
  if (!(await isPermitted())) return isRefused(stage, options)
  const director = await stage.cluster.start(1)
  t.teardown(() => stage.cluster.close())
  await stage.serve('tcp-server')
  const client = stage.client('tcp-long', { connections, intervalMs: 20, stallMs: 15_000 })
  await director.process.waitFor('that all are on the fast path', hasFastConnections(connections))
  const { pid } = director.process
  process.kill(pid as number, 'SIGSTOP')
  t.teardown(() => process.kill(pid as number, 'SIGCONT'))
  await exchanged(client, 50 * connections)
  process.kill(pid as number, 'SIGCONT')
  const { summary } = await finish(client)
  t.like(summary, { broken: 0, closed: connections })
})

test('connections go on through the director when another program removes the fast path', async (t) => {
  const options = directorOptions({ more: required })
  const stage = await Stage.build(t, { directors: 1 }, options)
  if (!(await isPermitted())) return isRefused(stage, options)
  const director = await stage.cluster.start(1)
  t.teardown(() => stage.cluster.close())
  await stage.serve('bulk-server')
  const client = stage.client('bulk-client', { seconds: 6, verify: true, stallMs: 20_000 })
  await client.waitFor('some data', (message) => Number(message['bytes']) > 100 * megabyte)
  const before = await statisticsOf(director)
  t.is(before.fastPath.connections, 1)
  const told = stage.happened('error')
  const host = stage.lab.director(1)
  const filters = await host.run('tc', 'filter', 'show', 'dev', hostInterface, 'ingress')
  const priority = /pref (\d+) bpf .*l4-director-fast/.exec(filters)?.[1]
  await host.run('tc', 'filter', 'del', 'dev', hostInterface, 'ingress', 'pref', String(priority))
  const { details } = await told
  t.is(details['code'], 'ERR_DIRECTOR_FAST_PATH')
  const { exit, summary } = await ended(client)
  t.is(exit.status, 0, JSON.stringify(summary))
  t.like(summary, { broken: 0 })
})

test('without the right a director forwards everything itself, or refuses where that was asked for', async (t) => {
  const options = directorOptions({ more: required })
  const stage = await Stage.build(t, { directors: 1 }, directorOptions({}))
  const names = Object.keys(capabilities).map((name) => `-${name.slice('CAP_'.length).toLowerCase()}`)
  const through = ['setpriv', '--inh-caps', names.join(','), '--bounding-set', names.join(',')]
  await isRefused(stage, options, through)
  const director = await DirectorProgram.start(stage.lab, 1, directorOptions({}), { through })
  t.teardown(() => director.close())
  await stage.lab.router.announce(1)
  await stage.serve('bulk-server')
  const client = stage.client('bulk-client', { bytes: 100 * megabyte, verify: true })
  const { exit, summary } = await ended(client)
  t.is(exit.status, 0, JSON.stringify(summary))
  const { fastPath, traffic } = await statisticsOf(director)
  t.is(fastPath.packets, 0)
  t.true(traffic.inOctets > 100 * megabyte)
})
