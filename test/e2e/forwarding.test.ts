import test from 'ava'

import { clientAddress } from '../lab/addresses.ts'
import { ended, finish, Stage } from './stage.ts'

const families = ['ipv4', 'ipv6'] as const
const everyServer = ['server1', 'server2', 'server3']

interface Snapshot {
  readonly traffic: { readonly inPackets: number; readonly inOctets: number }
}

for (const family of families) {
  test(`${family}: TCP connections reach every server, their data whole`, async (t) => {
    const stage = await Stage.open(t, {}, { families: [family] })
    await stage.serve('tcp-server', [family])
    const client = stage.client('tcp-long', { connections: 60, intervalMs: 20, payloadBytes: 4000 }, family)
    const connected = await client.message('connected')
    t.is(connected['up'], 60)
    await client.waitFor('records', (message) => Number(message['records']) > 600)
    const { exit, summary } = await finish(client)
    t.is(exit.status, 0, client.complaints)
    t.like(summary, { closed: 60, broken: 0 })
    t.deepEqual(Object.keys(summary['servers'] as object), everyServer)
  })

  test(`${family}: bulk TCP is forwarded as super-frames, every octet checked`, async (t) => {
    const stage = await Stage.open(t, { directors: 1 }, { families: [family] })
    await stage.serve('bulk-server', [family])
    for (const direction of ['upload', 'download']) {
      const bulk = { bytes: 48_000_000, streams: 2, direction, verify: true }
      const { exit, summary } = await ended(stage.client('bulk-client', bulk, family))
      t.is(exit.status, 0, JSON.stringify(summary))
      t.is(summary['bytes'], 96_000_000)
    }
    const { traffic } = (await stage.cluster.director(1).call('snapshot')) as Snapshot
    t.true(traffic.inOctets > 96_000_000, `octets: ${traffic.inOctets}`)
    // Wire-sized frames would average at most 1500 octets, acknowledgements of the download included.
    t.true(
      traffic.inOctets / traffic.inPackets > 1500,
      `octets a frame: ${traffic.inOctets / traffic.inPackets}`,
    )
  })

  test(`${family}: UDP flows stay with their server and lose nothing`, async (t) => {
    const stage = await Stage.open(t, {}, { families: [family], protocols: ['udp'] })
    await stage.serve('udp-echo', [family])
    const client = stage.client('udp-client', { flows: 60, count: 20, intervalMs: 20 }, family)
    const { exit, summary } = await ended(client)
    t.is(exit.status, 0, JSON.stringify(summary))
    t.like(summary, { sent: 1200, answered: 1200, lost: 0, refused: 0, moved: 0 })
    t.deepEqual(Object.keys(summary['servers'] as object), everyServer)
  })

  test(`${family}: SCTP associations reach every server, their data whole`, async (t) => {
    const stage = await Stage.open(t, {}, { families: [family], protocols: ['sctp'] })
    await stage.serveSctp(family)
    const options = { source: clientAddress(1, family), associations: 30, intervalMs: 20 }
    const client = stage.client('sctp-client', options, family)
    t.is((await client.message('connected'))['up'], 30)
    await client.waitFor('records', (message) => Number(message['records']) > 300)
    const { exit, summary } = await finish(client)
    t.is(exit.status, 0, client.complaints)
    t.like(summary, { closed: 30, broken: 0 })
    t.deepEqual(Object.keys(summary['servers'] as object), everyServer)
  })
}
