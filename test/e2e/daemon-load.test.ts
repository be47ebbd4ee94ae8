import test, { type ExecutionContext } from 'ava'

import type { ServiceOptions, ServiceSnapshot } from '../../lib/index.ts'
import { serverAddress, virtualAddress } from '../lab/addresses.ts'
import type { LabProcess } from '../lab/lab-process.ts'
import { DaemonHost } from './daemon-host.ts'
import { finish, Stage } from './stage.ts'

const connections = 500
const rounds = 3

/** Fifty services; the clients' is the first. */
function fifty(weight = 1): ServiceOptions[] {
  return Array.from({ length: 50 }, (_, index) => ({
    protocol: 'tcp',
    address: virtualAddress.ipv4,
    port: 80 + index,
    scheduler: 'sh',
    flags: ['sh-port', 'sh-fallback'],
    servers: [1, 2, 3].map((server) => ({
      address: serverAddress(server),
      weight: index === 7 && server === 1 ? weight : 1,
    })),
  }))
}

interface Running {
  readonly host: DaemonHost
  daemon: LabProcess
}

/** Two daemons with fifty services behind the router, and clients with connections through them. */
async function busy(t: ExecutionContext): Promise<{ stage: Stage; group: Running[]; clients: LabProcess }> {
  const stage = await Stage.build(t, {}, {})
  const group: Running[] = []
  for (const [index, namespace] of stage.lab.directors.entries()) {
    const host = DaemonHost.open(t, namespace)
    host.write(fifty(), { sloppy: { tcp: true }, drain: { deadlineSeconds: 2 } })
    group.push({ host, daemon: await host.started() })
    await stage.lab.router.announce(index + 1)
  }
  t.teardown(() => Promise.all(group.map(({ daemon }) => daemon.kill('SIGTERM'))))
  await stage.serve('tcp-server')
  const clients = stage.client('tcp-long', { connections, intervalMs: 200, payloadBytes: 256 })
  t.like(await clients.message('connected', 60_000), { up: connections, broken: 0 })
  return { stage, group, clients }
}

/** Waits until every connection has exchanged something more. */
async function exchanged(clients: LabProcess, count = connections): Promise<void> {
  const before = Number((await clients.waitFor('its state', ({ event }) => event === 'state'))['records'])
  await clients.waitFor('records', ({ records }) => Number(records) >= before + 2 * count)
}

async function expectWhole(t: ExecutionContext, clients: LabProcess): Promise<void> {
  const { summary, exit } = await finish(clients)
  t.like(summary, { broken: 0, closed: connections, causes: {} }, clients.complaints)
  t.is(exit.status, 0)
}

test('a daemon of a group of two restarts under load: no connection breaks', async (t) => {
  const { stage, group, clients } = await busy(t)
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, member] of group.entries()) {
      await stage.lab.router.withdraw(index + 1)
      t.is((await member.daemon.kill('SIGTERM')).status, 0)
      member.daemon = await member.host.started()
      await stage.lab.router.announce(index + 1)
      await exchanged(clients)
    }
  }
  await expectWhole(t, clients)
})

test('a reload that changes one service of fifty leaves the others their connections and counters', async (t) => {
  const { group, clients } = await busy(t)
  const [{ host }] = group as [Running]
  await using client = await host.client()
  const first = async (): Promise<ServiceSnapshot> => {
    const { statistics } = await client.snapshot()
    return statistics.services[0] as ServiceSnapshot
  }
  const active = (service: ServiceSnapshot): number =>
    service.servers.reduce((sum, server) => sum + server.activeConnections, 0)
  const before = await first()
  t.true(active(before) > 0)
  host.write(fifty(5), { sloppy: { tcp: true }, drain: { deadlineSeconds: 2 } })
  await client.call('reload')
  const after = await first()
  t.is(active(after), active(before))
  t.is(after.traffic.connections, before.traffic.connections)
  t.true(after.traffic.inPackets >= before.traffic.inPackets)
  t.deepEqual(after.adopted, before.adopted)
  t.is((await client.snapshot()).configuration.services[7]?.servers.at(-1)?.weight, 5)
  await exchanged(clients)
  await expectWhole(t, clients)
})

/** A module that collects garbage all the time. */
const collecting = `data:text/javascript,${encodeURIComponent(`
  import { setFlagsFromString } from 'node:v8'
  import { runInNewContext } from 'node:vm'
  setFlagsFromString('--expose-gc')
  setInterval(runInNewContext('gc'), 20).unref()`)}`

/** A daemon with five connections, and their clients. */
async function occupied(
  stage: Stage,
  host: DaemonHost,
  deadlineSeconds: number,
  environment: NodeJS.ProcessEnv = {},
): Promise<{ daemon: LabProcess; clients: LabProcess }> {
  host.write(fifty(), { drain: { deadlineSeconds } })
  const daemon = await host.started(environment)
  stage.t.teardown(() => daemon.kill())
  const clients = stage.client('tcp-long', { connections: 5, intervalMs: 100, payloadBytes: 64 })
  await clients.message('connected', 60_000)
  return { daemon, clients }
}

test('a drain waits for connections; it ends with them, with its deadline, or with a second signal', async (t) => {
  const stage = await Stage.build(t, { directors: 1 }, {})
  const host = DaemonHost.open(t, stage.lab.director(1))
  await stage.lab.router.announce(1)
  await stage.serve('tcp-server')

  const first = await occupied(stage, host, 3600)
  void first.daemon.kill('SIGTERM')
  await first.daemon.message('stopping')
  await exchanged(first.clients, 5)
  t.is(first.daemon.latest('drained'), undefined)
  await finish(first.clients)
  t.is((await first.daemon.exited).status, 0)
  t.like(first.daemon.latest('drained'), { activeConnections: 0 })

  const second = await occupied(stage, host, 3600)
  void second.daemon.kill('SIGTERM')
  await second.daemon.message('stopping')
  t.is((await second.daemon.kill('SIGTERM')).status, 0)
  t.like(second.daemon.latest('drained'), { activeConnections: 5 })
  await second.clients.kill()

  // What only a weak reference holds is gone before the deadline.
  const third = await occupied(stage, host, 1, { NODE_OPTIONS: `--import=${collecting}` })
  t.is((await third.daemon.kill('SIGTERM')).status, 0)
  t.like(third.daemon.latest('drained'), { activeConnections: 5 })
})
