import test from 'ava'
import fc from 'fast-check'
import type { AdoptedEvent, DirectorError, NamedCounter, OfflineDirector } from '../../lib/index.ts'
import { ACK, FIN_ACK, RST, SYN, tcpFrame } from './frames.ts'
import { offlineWeb, webKey } from './web.ts'

function count(counters: readonly NamedCounter[], name: string): number | undefined {
  return counters.find((counter) => counter.name === name)?.count
}

/** Opens a connection and answers with the server that it went to. */
function open(director: OfflineDirector, clientPort: number): string | undefined {
  director.process(tcpFrame({ clientPort }))
  return director.process(tcpFrame({ clientPort, flags: ACK })).server?.address
}

test('a frame is forwarded to a real server with only its hardware addresses and TTL changed', (t) => {
  const { director } = offlineWeb()
  const frame = tcpFrame({ payload: 5 })
  const { verdict, server, frames, waiting } = director.process(frame)
  t.is(verdict, 'forward')
  t.regex(server?.address ?? '', /^10\.0\.0\.1[12]$/)
  t.false(waiting)
  const [out] = frames
  t.is(out?.interface, 1)
  t.deepEqual(
    Buffer.from(out?.frame ?? []).subarray(26),
    frame.subarray(26),
    'addresses, ports and payload stay',
  )
  t.is(out?.frame[22], 63, 'TTL')
})

test('frames of one call are judged in their order, as those of single calls', (t) => {
  const [{ director: single }, { director: together }] = [offlineWeb(), offlineWeb()]
  const frames = [1, 2, 1, 3].flatMap((clientPort) => [
    tcpFrame({ clientPort, flags: SYN }),
    tcpFrame({ clientPort, flags: FIN_ACK }),
  ])
  const expected = frames.map((frame) => single.process(frame, { vlan: 7 }))
  t.deepEqual(together.processAll(frames, { vlan: 7 }), expected)
  t.deepEqual(together.snapshot(), single.snapshot())
  t.is(expected[0]?.frames[0]?.vlan, 7)
  t.deepEqual(together.processAll([]), [])
})

test('of frames with a wrong one among them none is judged', (t) => {
  const { director } = offlineWeb()
  const error = t.throws(() => director.processAll([tcpFrame(), 5 as unknown as Uint8Array])) as DirectorError
  t.deepEqual(
    error.issues.map(({ field }) => field),
    ['frames[1]'],
  )
  t.is(director.snapshot().connections, 0)
})

test('the caller keeps its frame', (t) => {
  const { director } = offlineWeb()
  const frame = tcpFrame()
  const copy = Buffer.from(frame)
  director.process(frame)
  t.deepEqual(frame, copy)
})

test('packets of a connection follow it; counters and rows say so', (t) => {
  const { director } = offlineWeb()
  const server = open(director, 40_000)
  t.is(director.process(tcpFrame({ clientPort: 40_000, flags: ACK, payload: 9 })).server?.address, server)
  const [row, ...others] = director.connections({ service: webKey })
  t.deepEqual(others, [])
  t.like(row, { protocol: 'tcp', client: '198.51.100.7:40000', state: 'ESTABLISHED', inPackets: 3 })
  t.is(director.snapshot().services[0]?.traffic.connections, 1)
  t.deepEqual(director.connections({ client: '198.51.100.8' }), [])
  director.zero(webKey)
  t.is(director.snapshot().services[0]?.traffic.inPackets, 0)
})

const refused: readonly (readonly [string, Buffer, 'drop' | 'pass', string])[] = [
  ['a frame of no octets', Buffer.alloc(0), 'drop', 'truncated'],
  ['a frame that ends in its IP header', tcpFrame().subarray(0, 30), 'drop', 'truncated'],
  ['a wrong header checksum', changed(24, 0xff), 'drop', 'bad-checksum'],
  ['an IP version that contradicts the Ethernet type', changed(14, 0x65), 'drop', 'bad-header'],
  ['a total length beyond the frame', changed(16, 0xff), 'drop', 'truncated'],
  ['an ARP frame', changed(13, 0x06), 'pass', 'not-ip'],
  ['a port without a service', tcpFrame({ virtualPort: 81 }), 'pass', 'no-service'],
  ['a reset out of nowhere', tcpFrame({ flags: RST }), 'pass', 'tcp-not-first'],
]

for (const [what, frame, verdict, reason] of refused) {
  test(`${what}: ${verdict}, ${reason}, counted`, (t) => {
    const { director } = offlineWeb()
    const result = director.process(frame)
    t.like(result, { verdict, reason, frames: [] })
    const { dropped, passed } = director.snapshot()
    t.is(count(verdict === 'drop' ? dropped : passed, reason), 1)
  })
}

function changed(at: number, octet: number): Buffer {
  const frame = tcpFrame()
  frame[at] = octet
  return frame
}

test('property: any octets get a verdict, and every frame is counted once', (t) => {
  const { director } = offlineWeb()
  const octets = fc.oneof(
    fc.uint8Array({ maxLength: 256 }),
    fc.tuple(fc.nat(53), fc.nat(255)).map(([at, octet]) => changed(at, octet)),
    fc.nat(54).map((length) => tcpFrame().subarray(0, length)),
  )
  let frames = 0
  fc.assert(
    fc.property(octets, (frame) => {
      frames += 1
      return ['forward', 'reply', 'pass', 'drop'].includes(director.process(frame).verdict)
    }),
  )
  const { forwarded, passed, dropped, replied } = director.snapshot()
  const named = [passed, dropped, replied].flat().reduce((sum, counter) => sum + counter.count, 0)
  t.is(forwarded + named, frames)
})

test('a frame of 64 KB is judged like any other', (t) => {
  const { director } = offlineWeb()
  const segmentation = { segmentSize: 1448, headerLength: 54 }
  const frame = tcpFrame({ payload: 65_495 })
  t.is(director.process(frame, { checksumPartial: true, segmentation }).verdict, 'forward')
  t.like(director.process(frame), { verdict: 'reply', reason: 'too-big' })
})

test('sloppy adopts mid-stream connections and tells it; strict does not', (t) => {
  const strict = offlineWeb().director
  t.like(strict.process(tcpFrame({ flags: ACK })), { verdict: 'pass', reason: 'tcp-not-first' })
  const { director } = offlineWeb(2, { sloppy: { tcp: true } })
  const heard: AdoptedEvent[] = []
  director.on('adopted', (event) => heard.push(event))
  const { server } = director.process(tcpFrame({ flags: ACK }))
  t.deepEqual(heard, [
    {
      service: webKey,
      cause: 'tcp-ack',
      count: 1,
      fallbackCount: 0,
      client: '198.51.100.7:40000',
      server: `${server?.address}:80`,
    },
  ])
})

test('directors of one configuration place a connection alike, so that it survives one of them', (t) => {
  const [first, second] = [0, 1].map(() => offlineWeb(5, { sloppy: { tcp: true } }).director)
  for (let clientPort = 1024; clientPort < 1324; clientPort += 1) {
    const before = first && open(first, clientPort)
    t.is(second?.process(tcpFrame({ clientPort, flags: ACK })).server?.address, before)
  }
})

test('a paused server keeps its connections, gets no new ones, and drains', async (t) => {
  const { director, web } = offlineWeb()
  const ports = Array.from({ length: 64 }, (_, index) => 2000 + index)
  const placed = new Map(ports.map((port) => [port, open(director, port)]))
  const server = web.server('10.0.0.11')
  const told: string[] = []
  director.on('serverDrained', (event) => told.push(event.server))
  server?.pause()
  let drained = false
  const waiting = server?.drained().then(() => (drained = true))
  for (const [clientPort, address] of placed) {
    t.is(director.process(tcpFrame({ clientPort, flags: ACK })).server?.address, address)
  }
  for (let port = 3000; port < 3064; port += 1) t.is(open(director, port), '10.0.0.12')
  const mine = ports.filter((port) => placed.get(port) === '10.0.0.11')
  t.true(mine.length > 0)
  for (const clientPort of mine) {
    t.false(drained)
    director.process(tcpFrame({ clientPort, flags: FIN_ACK }))
  }
  await waiting
  t.deepEqual(told, ['10.0.0.11:80'])
})

test('drained() until all waits for entries to expire, on the virtual clock', async (t) => {
  const { director, web } = offlineWeb(1)
  open(director, 4000)
  director.process(tcpFrame({ clientPort: 4000, flags: FIN_ACK }))
  const server = web.server('10.0.0.11')?.pause()
  await server?.drained()
  const all = server?.drained({ until: 'all' })
  director.advance(10_000)
  t.is(director.connections().length, 1)
  director.advance(600_000)
  t.deepEqual(director.connections(), [])
  t.is(director.now, 610_000)
  await t.notThrowsAsync(async () => all)
})

test('drained() of a server that is removed meanwhile rejects', async (t) => {
  const { director, web } = offlineWeb(1)
  open(director, 4000)
  const server = web.server('10.0.0.11')
  const drained = t.throwsAsync(async () => server?.drained(), { code: 'ERR_DIRECTOR_SERVER_NOT_FOUND' })
  server?.remove()
  director.advance(1)
  await drained
})

test('ways to a server: resolving holds frames back, unreachable answers', (t) => {
  const { director } = offlineWeb(1)
  director.setHop('10.0.0.11', 'resolving')
  t.like(director.process(tcpFrame()), { verdict: 'forward', waiting: true, frames: [] })
  director.setHop('10.0.0.11', { interface: 3, destination: '02:00:00:00:aa:bb' })
  const [released] = director.takeReleased()
  t.is(released?.interface, 3)
  t.is(Buffer.from(released?.frame ?? []).toString('hex', 0, 6), '02000000aabb')
  director.setHop('10.0.0.11', 'unreachable')
  t.like(director.process(tcpFrame({ clientPort: 5 })), { verdict: 'reply', reason: 'unreachable' })
  director.setHop('10.0.0.11', 'local')
  t.like(director.process(tcpFrame({ clientPort: 6 })), { verdict: 'drop', reason: 'server-is-local' })
  t.throws(() => director.setHop('10.0.0.11', { source: 'x' }), { code: 'ERR_DIRECTOR_INVALID_ADDRESS' })
})

test('a full table places by hash and counts it', (t) => {
  const { director } = offlineWeb(2, { connections: 1024 })
  for (let clientPort = 1001; clientPort <= 2100; clientPort += 1) {
    t.is(director.process(tcpFrame({ clientPort, flags: SYN })).verdict, 'forward')
  }
  t.like(director.snapshot(), { connections: 1024, connectionLimit: 1024, placedWithoutEntry: 76 })
})

test('arguments of the wrong kind are refused, all at once', (t) => {
  const { director } = offlineWeb()
  const error = t.throws(
    () => director.process('frame' as unknown as Uint8Array, { vlan: -1, interface: 0 }),
    {
      code: 'ERR_DIRECTOR_INVALID_OPTIONS',
    },
  ) as { issues?: { field: string }[] } | undefined
  t.deepEqual(
    error?.issues?.map(({ field }) => field),
    ['frame', 'meta.interface', 'meta.vlan'],
  )
  t.throws(() => director.advance(-1), { code: 'ERR_DIRECTOR_OUT_OF_RANGE' })
})
