import test from 'ava'
import { Director } from '../../lib/index.ts'
import type { OfflineDirector, VirtualService } from '../../lib/index.ts'
import { udpFrame } from './frames.ts'

const sipKey = { protocol: 'udp', address: '192.0.2.80', port: 5060 } as const

function offlineCalls(): { director: OfflineDirector; calls: VirtualService } {
  const director = Director.offline()
  const calls = director.addService({
    ...sipKey,
    scheduler: 'rr',
    persistence: { timeoutSeconds: 60 },
    persistenceEngine: 'sip',
    onePacket: true,
    servers: [{ address: '10.0.0.11' }, { address: '10.0.0.12' }],
  })
  return { director, calls }
}

/** Sends one message of a call and answers with the server that it went to. */
function send(director: OfflineDirector, client: string, call: string): string | undefined {
  const message = `INVITE sip:bob@example.net SIP/2.0\r\nCall-ID: ${call}\r\nCSeq: 1 INVITE\r\n\r\n`
  return director.process(udpFrame(client, 5060, sipKey.port, message)).server?.address
}

test('a call keeps its server whoever sends, and the listing names it', (t) => {
  const { director } = offlineCalls()
  const first = send(director, '198.51.100.7', 'one@example.com')
  t.is(send(director, '198.51.100.8', 'one@example.com'), first)
  t.not(send(director, '198.51.100.7', 'two@example.com'), first)
  const rows = director.connections({ template: true })
  const named = rows.map(({ persistenceEngine, persistenceData }) => [persistenceEngine, persistenceData])
  t.deepEqual(named.toSorted(), [
    ['sip', 'one@example.com'],
    ['sip', 'two@example.com'],
  ])
})

test('an edit takes the engine away and gives it back, and leaves it where it says nothing', (t) => {
  const { director, calls } = offlineCalls()
  const engine = () => director.snapshot().services[0]?.persistenceEngine
  calls.edit({ scheduler: 'wrr' })
  t.is(engine(), 'sip')
  calls.edit({ persistenceEngine: null })
  t.is(engine(), null)
  const first = send(director, '198.51.100.7', 'one@example.com')
  t.is(send(director, '198.51.100.7', 'two@example.com'), first, 'the address decides')
  calls.edit({ persistenceEngine: 'sip' })
  t.is(engine(), 'sip')
})

test('an unknown engine is refused, with what is allowed', (t) => {
  const { calls } = offlineCalls()
  const error = t.throws(() => calls.edit({ persistenceEngine: 'h323' as 'sip' }))
  t.regex(error?.message ?? '', /^persistenceEngine: "h323".*"sip"$/)
})
