import test, { type ExecutionContext } from 'ava'

import { clientAddress, directorAddress, routerInside, serverAddress, type Family } from '../lab/addresses.ts'
import type { DirectingOptions } from '../lab/director-options.ts'
import { returnThroughDirector, serverInterface, standBetween } from '../lab/gateway.ts'
import type { LabProcess } from '../lab/lab-process.ts'
import { socketAddress, startPeer, startServer, type PeerOptions, type PeerProgram } from '../lab/peers.ts'
import { hostInterface, outsideInterface, type Lab } from '../lab/topology.ts'
import { ended, finish, Stage } from './stage.ts'

const port = 8080
const bytes = 20_000_000
const small = 1300

/** Opens a stage whose servers answer through the only director. */
async function open(
  t: ExecutionContext,
  directing: DirectingOptions = {},
  prepare: (lab: Lab) => Promise<void> = returnThroughDirector,
): Promise<Stage> {
  const server = { forwarding: 'masquerading', port }
  return Stage.open(t, { directors: 1 }, { server, ...directing }, prepare)
}

/** Starts a server program on every real server, on the server's own address. */
async function serve(stage: Stage, program: PeerProgram, family: Family = 'ipv4'): Promise<LabProcess[]> {
  const starting = stage.lab.servers.map((host, index) => {
    const address = serverAddress(index + 1, family)
    const where: PeerOptions =
      program === 'sctp-server' ? { address, port } : { listen: socketAddress(address, port) }
    return startServer(host, program, { ...where, reportMs: 100 }, `server${index + 1}`)
  })
  const servers = await Promise.all(starting)
  for (const server of servers) stage.t.teardown(() => server.kill())
  return servers
}

/** Transfers checked octets on one connection. */
async function transfer(stage: Stage, direction: string, family: Family = 'ipv4'): Promise<void> {
  const options = { bytes, direction, verify: true, source: clientAddress(1, family) }
  const { exit, summary } = await ended(stage.client('bulk-client', options, family))
  stage.t.is(exit.status, 0, JSON.stringify(summary))
}

/** One of the servers was told what fits on the way to the client. */
async function expectOneTold(stage: Stage, family: Family): Promise<void> {
  const to = clientAddress(1, family)
  const hosts = stage.lab.servers.entries()
  const asked = [...hosts].map(([index, host]) => host.pathMtu(to, serverAddress(index + 1, family)))
  const told = await Promise.all(asked)
  stage.t.deepEqual(
    told.filter((mtu) => mtu !== undefined),
    [small],
  )
}

for (const family of ['ipv4', 'ipv6'] as const) {
  test(`${family}: connections with their port mapped`, async (t) => {
    const stage = await open(t, { families: [family] })
    await serve(stage, 'tcp-server', family)
    const { exit, summary } = await ended(
      stage.client('tcp-short', { count: 300, rate: 300, stallMs: 10_000 }, family),
    )
    t.is(exit.status, 0, JSON.stringify(summary))
    t.is(summary['ok'], 300)
    t.is(Object.keys(summary['servers'] as object).length, 3)
  })

  test(`${family}: bulk data arrives whole both ways`, async (t) => {
    const stage = await open(t, { families: [family] })
    await serve(stage, 'bulk-server', family)
    await transfer(stage, 'upload', family)
    await transfer(stage, 'download', family)
  })

  test(`${family}: datagrams are answered, and a closed port is told of`, async (t) => {
    const stage = await open(t, { families: [family], protocols: ['udp'] })
    const servers = await serve(stage, 'udp-echo', family)
    const options = { flows: 40, count: 10, intervalMs: 20 }
    const { summary } = await ended(stage.client('udp-client', options, family))
    t.like(summary, { answered: 400, lost: 0, moved: 0 })
    await Promise.all(servers.map((server) => server.kill()))
    const refused = await ended(stage.client('udp-client', options, family))
    t.true(Number(refused.summary['refused']) > 0, JSON.stringify(refused.summary))
  })

  test(`${family}: "too big" from the clients' side reaches the server that sent the packet`, async (t) => {
    const stage = await open(t, { families: [family] })
    await serve(stage, 'bulk-server', family)
    await stage.lab.router.limitOutside(small, outsideInterface)
    await transfer(stage, 'download', family)
    await expectOneTold(stage, family)
  })

  test(`${family}: what does not fit on the director's way to the client is told the server`, async (t) => {
    const client = clientAddress(1, family)
    const stage = await open(t, { families: [family] }, async (lab) => {
      await returnThroughDirector(lab)
      await lab.director(1).ip(`route replace ${client} via ${routerInside[family]} mtu ${small}`)
    })
    await serve(stage, 'bulk-server', family)
    await transfer(stage, 'download', family)
    await expectOneTold(stage, family)
  })
}

test('a director between two networks', async (t) => {
  const interfaces = [hostInterface, serverInterface]
  const server = { forwarding: 'masquerading', port }
  const directing = { servers: 1, server, more: { interfaces } }
  const stage = await Stage.open(t, { directors: 1, servers: 1 }, directing, standBetween)
  await serve(stage, 'bulk-server')
  await transfer(stage, 'upload')
  await transfer(stage, 'download')
})

test('SCTP associations with their port mapped', async (t) => {
  const stage = await open(t, { protocols: ['sctp'] })
  await serve(stage, 'sctp-server')
  const client = stage.client('sctp-client', { source: clientAddress(1), associations: 20, intervalMs: 50 })
  t.is((await client.message('connected'))['up'], 20)
  const { exit, summary } = await finish(client)
  t.is(exit.status, 0, JSON.stringify(summary))
  t.like(summary, { broken: 0, closed: 20 })
})

test('connections survive a crash of the director and its restart', async (t) => {
  const stage = await open(t)
  await serve(stage, 'tcp-server')
  const client = stage.client('tcp-long', { connections: 100, intervalMs: 50, stallMs: 20_000 })
  await client.message('connected')
  await stage.cluster.kill(1)
  await stage.cluster.withdrawn(1)
  const adopted = stage.happened('adopted')
  await stage.cluster.start(1)
  await adopted
  const { exit, summary } = await finish(client)
  t.is(exit.status, 0, JSON.stringify(summary))
  t.like(summary, { broken: 0, closed: 100 })
})

test('with two workers both directions of a connection meet', async (t) => {
  const stage = await open(t, { protocols: ['tcp', 'udp'], more: { workers: 2 } })
  await serve(stage, 'tcp-server')
  await serve(stage, 'udp-echo')
  const tcp = stage.client('tcp-long', { connections: 200, intervalMs: 50 })
  t.is((await tcp.message('connected'))['up'], 200)
  const udp = await ended(stage.client('udp-client', { flows: 40, count: 10, intervalMs: 20 }))
  t.like(udp.summary, { answered: 400, lost: 0, moved: 0 })
  const { summary } = await finish(tcp)
  t.like(summary, { broken: 0, closed: 200 })
})

test('servers behind a router are reached through it', async (t) => {
  const stage = await open(t, {}, async (lab) => {
    await returnThroughDirector(lab)
    const routes = lab.servers.map(
      (_, index) => `route add ${serverAddress(index + 1)} via ${routerInside.ipv4}`,
    )
    await lab.director(1).ip(...routes)
  })
  await serve(stage, 'tcp-server')
  const { summary } = await ended(stage.client('tcp-short', { count: 100, rate: 200 }))
  t.like(summary, { ok: 100, refused: 0 })
  const { hops } = (await stage.cluster.director(1).process.message('statistics'))['statistics'] as {
    readonly hops: readonly { readonly gateway: string | null }[]
  }
  t.deepEqual(new Set(hops.map(({ gateway }) => gateway)), new Set([routerInside.ipv4]))
})

test('what servers answer to the director itself stays with its host, at new addresses as well', async (t) => {
  const stage = await open(t)
  await serve(stage, 'tcp-server')
  const director = stage.lab.director(1)
  const later = '10.82.0.99'
  for (const source of [directorAddress(1), later]) {
    if (source === later) await director.ip(`addr add ${later}/24 dev ${hostInterface}`)
    const connect = socketAddress(serverAddress(1), port)
    const check = startPeer(director, 'tcp-short', { connect, source, count: 20, rate: 100 })
    t.teardown(() => check.kill())
    const { summary } = await ended(check)
    t.like(summary, { ok: 20, refused: 0 })
  }
})
