import test from 'ava'
import type { Flow } from '../../lib/index.ts'
import { tcpFrame } from './frames.ts'
import { offlineWeb, webKey } from './web.ts'

const flow: Flow = {
  protocol: 'tcp',
  clientAddress: '198.51.100.7',
  clientPort: 40_000,
  virtualAddress: '192.0.2.80',
  virtualPort: 80,
}

test('an explanation foretells the verdict and changes nothing', (t) => {
  const { director } = offlineWeb(3)
  const before = director.snapshot()
  const { service, schedule, server, connection, reason } = director.explain(flow)
  t.deepEqual(director.snapshot(), before)
  t.deepEqual(service, webKey)
  t.is(connection, null)
  t.like(schedule, { scheduler: 'sh', tableSize: 256, movedByFallback: false, probes: [] })
  t.true(reason.includes(`${server?.address}:80`))
  t.is(director.process(tcpFrame()).server?.address, server?.address)
  t.like(director.explain(flow).connection, { client: '198.51.100.7:40000' })
})

test('a frame is explained by its flow', (t) => {
  const { director } = offlineWeb(3)
  t.deepEqual(director.explain(tcpFrame()), director.explain(flow))
})

test('a flow that fallback moved names its first choice', (t) => {
  const { director, web } = offlineWeb(3)
  const first = director.explain(flow).server
  web.server(first?.address ?? '')?.pause()
  const { schedule, server } = director.explain(flow)
  t.like(schedule, { movedByFallback: true, firstChoice: { address: first?.address, weight: 0 } })
  t.not(server?.address, first?.address)
  t.true((schedule?.probes.length ?? 0) > 0)
})

test('a flow of no service passes to the host', (t) => {
  const { director } = offlineWeb()
  t.like(director.explain({ ...flow, virtualPort: 81 }), { service: null, server: null })
})

test('marks by interface and VLAN are met where the flow names them', (t) => {
  const { director } = offlineWeb()
  director.defineMark(7, [{ address: '192.0.2.90', interface: 3, vlan: 5 }])
  const marked = director.addService({ mark: 7, family: 'ipv4', scheduler: 'rr' })
  marked.addServer({ address: '10.0.0.31' })
  const other: Flow = { ...flow, virtualAddress: '192.0.2.90' }
  for (const unmet of [{}, { interface: 3 }, { vlan: 5 }, { interface: 4, vlan: 5 }]) {
    t.is(director.explain({ ...other, ...unmet }).service, null)
  }
  t.deepEqual(director.explain({ ...other, interface: 3, vlan: 5 }).service, { mark: 7, family: 'ipv4' })
  t.throws(() => director.explain({ ...flow, vlan: 4095 }), { code: 'ERR_DIRECTOR_OUT_OF_RANGE' })
})

test('what has no ports cannot be explained', (t) => {
  const { director } = offlineWeb()
  const arp = tcpFrame()
  arp[13] = 0x06
  for (const frame of [arp, Buffer.alloc(3)]) {
    t.throws(() => director.explain(frame), { code: 'ERR_DIRECTOR_INVALID_OPTIONS' })
  }
  t.throws(() => director.explain({ ...flow, clientPort: -1 }), { code: 'ERR_DIRECTOR_OUT_OF_RANGE' })
})
