import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { dump } from '../../lib/daemon/dump.ts'
import { ipVsConnection } from '../../lib/daemon/proc-format.ts'
import { scratch, served } from './control-peer.ts'
import { tcpFrame } from './frames.ts'
import { webKey } from './web.ts'

test('a dump has the layout of the kernel’s files', async (t) => {
  const { director, server } = await served(t)
  director.apply([
    { type: 'add-service', service: { mark: 7, family: 'ipv4', scheduler: 'rr', onePacket: true } },
    {
      type: 'add-service',
      service: {
        protocol: 'udp',
        address: '2001:db8::53',
        port: 53,
        scheduler: 'wlc',
        persistence: { timeoutSeconds: 300 },
      },
    },
    {
      type: 'add-server',
      service: { protocol: 'udp', address: '2001:db8::53', port: 53 },
      server: { address: '2001:db8:1::1', forwarding: 'tunnelling' },
    },
    {
      type: 'edit-service',
      service: { ...webKey, scheduler: 'sh', persistence: { timeoutSeconds: 60, prefixLength: 24 } },
    },
  ])
  director.process(tcpFrame())
  const folder = scratch(t)
  t.is(await dump(['--control', server.path, folder]), 0)
  const read = (name: string): string => readFileSync(join(folder, 'net', name), 'utf8')
  const chosen = director
    .snapshot()
    .services[0]?.servers.findIndex(({ activeConnections }) => activeConnections > 0)
  const counts = (index: number): string => `${chosen === index ? 1 : 0}          0         `
  t.is(
    read('ip_vs'),
    [
      'IP Virtual Server version 1.2.1 (size=4096)',
      'Prot LocalAddress:Port Scheduler Flags',
      '  -> RemoteAddress:Port Forward Weight ActiveConn InActConn',
      'TCP  C0000250:0050 sh persistent 60 FFFFFF00',
      `  -> 0A00000C:0050      Route   1      ${counts(0)}`,
      `  -> 0A00000B:0050      Route   1      ${counts(1)}`,
      'FWM  00000007 rr ops ',
      'UDP  [2001:0db8:0000:0000:0000:0000:0000:0053]:0035 wlc persistent 300 80000000',
      '  -> [2001:0db8:0001:0000:0000:0000:0000:0001]:0035      Tunnel  1      0          0         ',
      '',
    ].join('\n'),
  )
  t.is(
    read('ip_vs_stats'),
    [
      '   Total Incoming Outgoing         Incoming         Outgoing',
      '   Conns  Packets  Packets            Bytes            Bytes',
      '       1        1        0               28                0',
      '',
      ' Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s',
      '       0        0        0                0                0',
      '',
    ].join('\n'),
  )
  const [title, ...rows] = read('ip_vs_conn').trimEnd().split('\n')
  t.is(title, 'Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData')
  t.is(rows.length, 2)
  t.true(
    rows.some((row) => /^TCP C6336407 9C40 C0000250 0050 0A00000[BC] 0050 SYN_RECV {9}60$/.test(row)),
    rows.join('\n'),
  )
})

test('a line of an IPv6 connection has all groups', (t) => {
  const row = {
    protocol: 'udp',
    client: '[2001:db8::1]:1000',
    virtualAddress: '[2001:db8::53]:53',
    server: '[::ffff:1.2.3.4]:53',
    state: 'UDP',
    expiresInMs: 299_999,
    template: false,
    forwarding: 'tunnelling',
    inPackets: 1,
    persistenceEngine: null,
    persistenceData: null,
  } as const
  t.is(
    ipVsConnection(row),
    'UDP 2001:0db8:0000:0000:0000:0000:0000:0001 03E8 2001:0db8:0000:0000:0000:0000:0000:0053 0035 0000:0000:0000:0000:0000:ffff:0102:0304 0035 UDP             299\n',
  )
})

test('a dump without a director, or without a folder, says so', async (t) => {
  t.is(await dump(['--control', join(scratch(t), 'none'), scratch(t)]), 1)
  t.is(await dump([]), 2)
  t.is(await dump(['--nonsense']), 2)
})
