import test from 'ava'
import fc from 'fast-check'
import { difference, Director } from '../../lib/index.ts'
import type { Configuration, OfflineDirector, ServerOptions, ServiceOptions } from '../../lib/index.ts'
import { wholeOptions } from '../../lib/difference.ts'
import { tcpFrame } from './frames.ts'
import { offlineWeb, webKey } from './web.ts'

const server: fc.Arbitrary<ServerOptions> = fc.record(
  {
    address: fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5'),
    weight: fc.nat(3),
    port: fc.constantFrom(80, 8080),
    forwarding: fc.constantFrom('direct-routing', 'tunnelling', 'masquerading'),
    upperThreshold: fc.nat(5),
  },
  { requiredKeys: ['address'] },
)
const servers = fc.uniqueArray(server, { selector: ({ address }) => address, maxLength: 5 })
const attributes = fc.oneof(
  fc.record({ scheduler: fc.constant('sh'), flags: fc.subarray(['sh-port', 'sh-fallback']) }),
  fc.record(
    { scheduler: fc.constantFrom('rr', 'wlc'), sloppy: fc.boolean() },
    { requiredKeys: ['scheduler'] },
  ),
  fc.record({ persistence: fc.record({ timeoutSeconds: fc.integer({ min: 1, max: 9 }) }) }),
  fc.record(
    { persistence: fc.constant({ timeoutSeconds: 9 }), persistenceEngine: fc.constant('sip') },
    { requiredKeys: ['persistence'] },
  ),
)
const key = fc.oneof(
  fc.record({
    protocol: fc.constantFrom('tcp', 'udp'),
    address: fc.constant('192.0.2.80'),
    port: fc.integer({ min: 80, max: 82 }),
  }),
  fc.record({ protocol: fc.constant('tcp'), address: fc.constant('192.0.2.81'), ports: fc.constant([1, 9]) }),
  fc.record({ mark: fc.integer({ min: 1, max: 2 }), family: fc.constant('ipv4') }),
)
const service = fc
  .tuple(key, attributes, servers)
  .map(([identity, rest, servers]) => Object.assign({ servers }, identity, rest) as ServiceOptions)
const marks = fc.uniqueArray(
  fc.record({
    mark: fc.integer({ min: 1, max: 3 }),
    matches: fc.constantFrom([{ address: '192.0.2.1' }], [{ address: '192.0.2.2' }]),
  }),
  { selector: ({ mark }) => mark },
)
// Never nothing at all: the digest of a director that was never configured is zero.
const settings = fc.record(
  { sloppyTcp: fc.boolean(), tcpTimeoutSeconds: fc.integer({ min: 1, max: 3 }) },
  { requiredKeys: ['sloppyTcp'] },
)
const options = fc.record({
  connections: fc.constant(1024),
  settings,
  marks,
  services: fc.uniqueArray(service, {
    selector: (one) =>
      JSON.stringify(
        'mark' in one ? one.mark : [one.protocol, one.address, 'port' in one ? one.port : one.ports],
      ),
    maxLength: 4,
  }),
})

/** A configuration without what depends on how it came about. */
function content({ services, settings, marks, version }: Configuration): unknown {
  const sorted = (list: readonly object[]): string[] => list.map((one) => JSON.stringify(one)).toSorted()
  return { services: sorted(services), settings, marks: sorted(marks), digest: version.digest }
}

const configured = (director: OfflineDirector): unknown => content(director.configuration)

test('property: the difference leads from any configuration to any other, in one batch', (t) => {
  const leads = fc.property(options, options, (from, to) => {
    const director = Director.offline(from)
    const wanted = Director.offline(to)
    director.apply(difference(director.configuration, wanted.configuration))
    t.deepEqual(configured(director), configured(wanted))
  })
  fc.assert(leads, { numRuns: 300 })
})

test('property: nothing is to be done between equal configurations', (t) => {
  const none = fc.property(options, (same) => {
    t.deepEqual(difference(Director.offline(same).configuration, Director.offline(same).configuration), [])
  })
  fc.assert(none, { numRuns: 50 })
})

test('property: the options of a configuration lead to it', (t) => {
  const leads = fc.property(options, (given) => {
    const { configuration } = Director.offline(given)
    const again = Director.offline({ ...wholeOptions(configuration), connections: 1024 })
    t.deepEqual(configured(again), content(configuration))
  })
  fc.assert(leads, { numRuns: 100 })
})

test('one service of fifty changes; the others are not touched', (t) => {
  const fifty = (weight: number): ServiceOptions[] =>
    Array.from({ length: 50 }, (_, index) => ({
      protocol: 'tcp',
      address: '192.0.2.80',
      port: 1000 + index,
      scheduler: 'sh',
      servers: [{ address: '10.0.0.1' }, { address: '10.0.0.2', weight: index === 7 ? weight : 1 }],
    }))
  const of = (weight: number): Configuration =>
    Director.offline({ connections: 1024, services: fifty(weight) }).configuration
  const [command, ...more] = difference(of(1), of(2))
  t.like(command, {
    type: 'edit-server',
    service: { port: 1007 },
    server: { address: '10.0.0.2', weight: 2 },
  })
  t.deepEqual(more, [])
})

test('a server added last in a file is one command; connections and counters outlast a new order', (t) => {
  const { director } = offlineWeb(3)
  for (let port = 1; port <= 100; port += 1) director.process(tcpFrame({ clientPort: port }))
  const before = director.snapshot()
  const placed = director
    .connections()
    .map(({ client, server }) => `${client} ${server}`)
    .toSorted()
  const wanted = Director.offline({
    connections: 1024,
    services: [
      {
        ...webKey,
        scheduler: 'sh',
        flags: ['sh-port', 'sh-fallback'],
        servers: [{ address: '10.0.0.13' }, { address: '10.0.0.11' }, { address: '10.0.0.12' }],
      },
    ],
  })
  director.apply(difference(director.configuration, wanted.configuration))
  t.is(director.version.digest, wanted.version.digest)
  const after = director.snapshot()
  t.deepEqual(
    director
      .connections()
      .map(({ client, server }) => `${client} ${server}`)
      .toSorted(),
    placed,
  )
  t.deepEqual(after.services[0]?.traffic, before.services[0]?.traffic)
  const counts = (snapshot: typeof after): unknown =>
    snapshot.services[0]?.servers
      .map(({ address, inactiveConnections, traffic }) => ({ address, inactiveConnections, traffic }))
      .toSorted((one, other) => one.address.localeCompare(other.address))
  t.deepEqual(counts(after), counts(before))

  wanted.service(webKey)?.addServer({ address: '10.0.0.14' })
  t.deepEqual(
    difference(director.configuration, wanted.configuration).map(({ type }) => type),
    ['add-server'],
  )
})
