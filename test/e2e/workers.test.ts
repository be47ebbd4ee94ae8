import test from 'ava'

import type { LiveStatistics } from '../../lib/index.ts'
import {
  clientAddress,
  directorAddress,
  otherVirtualAddress,
  serverAddress,
  virtualAddress,
  type Family,
} from '../lab/addresses.ts'
import { returnThroughDirector } from '../lab/gateway.ts'
import { socketAddress, startPeer, startServer } from '../lab/peers.ts'
import type { Lab } from '../lab/topology.ts'
import { ended, finish, Stage } from './stage.ts'

test('two workers share the traffic and adopt alike', async (t) => {
  const stage = await Stage.open(t, {}, { protocols: ['tcp', 'sctp', 'udp'], more: { workers: 2 } })
  await stage.serve('tcp-server')
  await stage.serve('udp-echo')
  await stage.serveSctp('ipv4')
  const tcp = stage.client('tcp-long', { connections: 200, intervalMs: 50 })
  const sctp = stage.client('sctp-client', { source: clientAddress(1), associations: 20, intervalMs: 50 })
  t.is((await tcp.message('connected'))['up'], 200)
  t.is((await sctp.message('connected'))['up'], 20)
  const udp = await ended(stage.client('udp-client', { flows: 40, count: 10, intervalMs: 20 }))
  t.like(udp.summary, { answered: 400, lost: 0, moved: 0 })

  await stage.cluster.kill(1)
  await stage.cluster.withdrawn(1)
  const adopted = stage.happened('adopted', ({ director }) => director === 1)
  await stage.cluster.start(1)
  await adopted
  const { statistics } = (await stage.cluster.director(2).process.message('statistics')) as unknown as {
    readonly statistics: { readonly connections: number }
  }
  t.true(statistics.connections >= 200, `entries of both workers: ${statistics.connections}`)
  for (const [client, count] of [
    [tcp, 200],
    [sctp, 20],
  ] as const) {
    const { summary } = await finish(client)
    t.like(summary, { broken: 0, closed: count })
  }
})

const workers = 4

/** `rr` over the lab's servers: a flow that two workers have is two connections. */
function inTurn(family: Family): object {
  const servers = [1, 2, 3].map((index) => ({ address: serverAddress(index, family) }))
  return { protocol: 'udp', address: virtualAddress[family], port: 80, scheduler: 'rr', servers }
}

for (const family of ['ipv4', 'ipv6'] as const) {
  test(`${family}: by address and port, a flow's whole and fragmented datagrams have one worker`, async (t) => {
    const services = [inTurn(family)]
    const more = { workers, spread: 'address-and-port', services }
    const stage = await Stage.open(t, { directors: 1 }, { more })
    await stage.serve('udp-echo', [family])
    const options = { flows: 40, count: 10, intervalMs: 20, payloadBytes: 4000 }
    const { summary } = await ended(stage.client('udp-client', options, family))
    t.like(summary, { answered: 400, lost: 0, corrupt: 0, moved: 0 })
    const statistics = (await stage.cluster.director(1).call('snapshot')) as LiveStatistics
    t.is(statistics.connections, 40)
    t.true(statistics.fragments.reassembled > 50, JSON.stringify(statistics.fragments))
    t.true(statistics.handedOver.frames > 0)
    t.is(statistics.handedOver.full, 0)
  })
}

/** Server 1 speaks to services and to the other servers by way of the director only. */
async function makeClientOfServer(lab: Lab): Promise<void> {
  await returnThroughDirector(lab)
  const redirects = { 'net.ipv4.conf.all.send_redirects': 0, 'net.ipv4.conf.eth0.send_redirects': 0 }
  await lab.director(1).sysctl(redirects)
  await lab.server(1).ip(`addr del ${virtualAddress.ipv4}/32 dev lo`)
  for (const index of [2, 3]) {
    await lab.server(index).ip(`route add ${serverAddress(1)}/32 via ${directorAddress(1)}`)
  }
}

for (const ports of ['one port', 'every port'] as const) {
  test(`a masqueraded server that answers from ${ports} is a client of another service`, async (t) => {
    const forwarding = 'masquerading'
    const others = [2, 3].map((index) => ({ address: serverAddress(index), port: 8080, forwarding }))
    const own = [{ address: serverAddress(1), forwarding }]
    const other = { protocol: 'tcp', address: otherVirtualAddress.ipv4, scheduler: 'rr', servers: own }
    const services = [
      { protocol: 'tcp', address: virtualAddress.ipv4, port: 80, scheduler: 'rr', servers: others },
      ports === 'one port' ? { ...other, port: 9090 } : { ...other, ports: [1, 65535] },
    ]
    const more = { workers, spread: 'address-and-port', services }
    const stage = await Stage.open(t, { directors: 1 }, { more }, makeClientOfServer)
    for (const index of [2, 3]) {
      const listen = socketAddress(serverAddress(index), 8080)
      const server = await startServer(stage.lab.server(index), 'tcp-server', { listen }, `server${index}`)
      t.teardown(() => server.kill())
    }
    const connect = socketAddress(virtualAddress.ipv4, 80)
    const options = { connect, count: 100, rate: 200, stallMs: 10_000 }
    const { exit, summary } = await ended(startPeer(stage.lab.server(1), 'tcp-short', options))
    t.is(exit.status, 0, JSON.stringify(summary))
    t.is(summary['ok'], 100)
  })
}
