import test, { type ExecutionContext } from 'ava'

import { clientAddress, serverAddress } from '../lab/addresses.ts'
import type { LabProcess } from '../lab/lab-process.ts'
import { Random, seedOfRun } from './random.ts'
import { exchanged, finish, Stage } from './stage.ts'
import { tcpCounter } from './tcp-counter.ts'

const connections = 2000
const rounds = 10

async function openAll(stage: Stage): Promise<{ long: LabProcess; short: LabProcess }> {
  const long = stage.client('tcp-long', { connections, intervalMs: 500, payloadBytes: 256 })
  const connected = await long.message('connected', 60_000)
  stage.t.like(connected, { up: connections, broken: 0 })
  return { long, short: stage.client('tcp-short', { rate: 50 }) }
}

async function expectWhole(
  t: ExecutionContext,
  { long, short }: Record<'long' | 'short', LabProcess>,
): Promise<void> {
  const kept = await finish(long)
  t.like(kept.summary, { broken: 0, closed: connections, causes: {} }, long.complaints)
  t.is(kept.exit.status, 0)
  const fresh = await finish(short)
  t.like(fresh.summary, { refused: 0, failed: {} })
  t.true(Number(fresh.summary['ok']) > 100)
}

test(`${connections} connections survive ${rounds} director kills`, async (t) => {
  const seed = seedOfRun()
  t.log(`seed ${seed} (repeat it with L4_SEED)`)
  const random = new Random(seed)
  const stage = await Stage.open(t)
  await stage.serve('tcp-server')
  const clients = await openAll(stage)
  let adoptions = 0
  for (let round = 1; round <= rounds; round++) {
    await exchanged(clients.long, random.between(200, 4000))
    const victim = random.pick(stage.cluster.running)
    await stage.cluster.kill(victim)
    await stage.cluster.withdrawn(victim)
    // It comes back with an empty table: what the router sends it, it has to adopt.
    const adopted = stage.happened('adopted', ({ director }) => director === victim)
    await stage.cluster.start(victim)
    await adopted
  }
  await exchanged(clients.long, connections)
  for (const { name, details } of stage.happenings) {
    if (name === 'adopted') adoptions += Number(details['count'])
  }
  t.log(`${adoptions} adoptions`)
  t.true(adoptions > connections, 'every return moves about half of the connections')
  await expectWhole(t, clients)
})

test(`${connections} connections survive ${rounds} pauses, and a paused server gets no new one`, async (t) => {
  const seed = seedOfRun()
  t.log(`seed ${seed} (repeat it with L4_SEED)`)
  const random = new Random(seed)
  // IPVS: with direct routing a SYN on a connection in FIN_WAIT belongs to that connection and goes
  // to its server, paused or not, unless bit 1 of conn_reuse_mode is set. Clients reuse ports here.
  const stage = await Stage.open(t, {}, { more: { settings: { connReuseMode: 3 } } })
  const servers = await stage.serve('tcp-server')
  const clients = await openAll(stage)
  for (let round = 1; round <= rounds; round++) {
    await exchanged(clients.long, random.between(200, 2000))
    const index = Math.floor(random.between(0, servers.length))
    await pauseFor(stage, index, servers[index] as LabProcess, clients.long)
  }
  await expectWhole(t, clients)
})

async function pauseFor(stage: Stage, index: number, server: LabProcess, traffic: LabProcess): Promise<void> {
  const address = serverAddress(index + 1)
  await stage.cluster.callAll('pause', { server: address })
  // Handshakes that were under way are done after a second of traffic.
  await exchanged(traffic, 4000)
  const settled = await acceptedBy(server)
  await exchanged(traffic, 2000)
  stage.t.is(await acceptedBy(server), settled, `new connections on paused server ${index + 1}`)
  await stage.cluster.callAll('resume', { server: address })
}

async function acceptedBy(server: LabProcess): Promise<number> {
  const state = await server.waitFor('its state', ({ event }) => event === 'state')
  return Number(state['accepted'])
}

test('IPv6 connections and SCTP associations survive a kill, too', async (t) => {
  const stage = await Stage.open(t, {}, { families: ['ipv4', 'ipv6'], protocols: ['tcp', 'sctp'] })
  await stage.serve('tcp-server', ['ipv6'])
  await stage.serveSctp('ipv4')
  await stage.serveSctp('ipv6')
  const clients = [
    stage.client('tcp-long', { connections: 100, intervalMs: 50 }, 'ipv6'),
    stage.client('sctp-client', { source: clientAddress(1), associations: 20, intervalMs: 50 }),
    stage.client(
      'sctp-client',
      { source: clientAddress(1, 'ipv6'), associations: 20, intervalMs: 50 },
      'ipv6',
    ),
  ]
  await Promise.all(clients.map((client) => client.message('connected')))
  for (const victim of [1, 2]) {
    await stage.cluster.kill(victim)
    await stage.cluster.withdrawn(victim)
    await Promise.all(clients.map((client) => exchanged(client, 200)))
    await stage.cluster.start(victim)
    await Promise.all(clients.map((client) => exchanged(client, 200)))
  }
  for (const client of clients) {
    const { exit, summary } = await finish(client)
    t.is(exit.status, 0, JSON.stringify(summary))
    t.is(summary['broken'], 0)
  }
})

test('a director that stands still for a while costs time, and its connections stay with it', async (t) => {
  const connections = 200
  // On the fast path connections would not even notice.
  const stage = await Stage.open(t, {}, { more: { fastPath: false } })
  await stage.serve('tcp-server')
  const client = stage.client('tcp-long', { connections, intervalMs: 50, stallMs: 15_000 })
  await client.message('connected')
  const { pid } = stage.cluster.director(1).process
  const retransmitted = await tcpCounter(stage.lab.clients, 'RetransSegs')
  process.kill(pid as number, 'SIGSTOP')
  while ((await tcpCounter(stage.lab.clients, 'RetransSegs')) < retransmitted + 2 * connections);
  process.kill(pid as number, 'SIGCONT')
  await exchanged(client, 10 * connections)
  const { summary } = await finish(client)
  t.like(summary, { broken: 0, closed: connections })
  t.deepEqual(
    stage.happenings.filter(({ name }) => name === 'adopted'),
    [],
  )
})
