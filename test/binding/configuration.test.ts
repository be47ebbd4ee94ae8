import test from 'ava'
import { Director, DirectorError } from '../../lib/index.ts'
import type { Command, DirectorErrorCode, OfflineDirector, ServiceOptions } from '../../lib/index.ts'
import { offlineWeb, webKey } from './web.ts'

interface Refusal {
  readonly what: string
  readonly code: DirectorErrorCode
  readonly field: string
  readonly act: (director: OfflineDirector) => unknown
}

const another: ServiceOptions = { protocol: 'tcp', address: '192.0.2.81', port: 80, scheduler: 'sh' }
const web = (director: OfflineDirector) => director.service(webKey)

const refusals: readonly Refusal[] = [
  {
    what: 'a duplicate service',
    code: 'ERR_DIRECTOR_SERVICE_EXISTS',
    field: 'service',
    act: (director) => director.addService({ ...webKey, scheduler: 'sh' }),
  },
  {
    what: 'a duplicate server',
    code: 'ERR_DIRECTOR_SERVER_EXISTS',
    field: 'server',
    act: (director) => web(director)?.addServer({ address: '10.0.0.11' }),
  },
  {
    what: 'a duplicate server in the options of a service',
    code: 'ERR_DIRECTOR_SERVER_EXISTS',
    field: 'servers[1]',
    act: (director) =>
      director.addService({ ...another, servers: [{ address: '10.0.0.1' }, { address: '10.0.0.1' }] }),
  },
  {
    what: 'an IPv6 server of an IPv4 service',
    code: 'ERR_DIRECTOR_FAMILY_MISMATCH',
    field: 'address',
    act: (director) => web(director)?.addServer({ address: '2001:db8::11' }),
  },
  {
    what: 'a virtual address that equals a server address',
    code: 'ERR_DIRECTOR_ADDRESS_CONFLICT',
    field: 'address',
    act: (director) => web(director)?.addServer({ address: '192.0.2.80' }),
  },
  {
    what: 'a service on the address of a server',
    code: 'ERR_DIRECTOR_ADDRESS_CONFLICT',
    field: 'address',
    act: (director) => director.addService({ ...another, address: '10.0.0.11' }),
  },
  {
    what: 'a weight out of range',
    code: 'ERR_DIRECTOR_OUT_OF_RANGE',
    field: 'weight',
    act: (director) =>
      web(director)
        ?.server('10.0.0.11')
        ?.setWeight(2 ** 31),
  },
  {
    what: 'a multicast virtual address',
    code: 'ERR_DIRECTOR_INVALID_ADDRESS',
    field: 'address',
    act: (director) => director.addService({ ...another, address: '224.0.0.1' }),
  },
  {
    what: 'a scheduler flag without its scheduler',
    code: 'ERR_DIRECTOR_INVALID_COMBINATION',
    field: 'flags[0]',
    act: (director) =>
      director.addService({ ...another, scheduler: 'rr', flags: ['sh-port'] } as unknown as ServiceOptions),
  },
  {
    what: 'an edit of a service that is not there',
    code: 'ERR_DIRECTOR_SERVICE_NOT_FOUND',
    field: 'commands[0]',
    act: (director) => director.apply([{ type: 'edit-service', service: { ...webKey, port: 81 } }]),
  },
  {
    what: 'a weight for a server that is not there',
    code: 'ERR_DIRECTOR_SERVER_NOT_FOUND',
    field: 'commands[0]',
    act: (director) =>
      director.apply([{ type: 'set-weight', service: webKey, server: { address: '10.0.0.99' }, weight: 1 }]),
  },
]

for (const { what, code, field, act } of refusals) {
  test(`${what} is refused with ${code}, and nothing changes`, (t) => {
    const { director } = offlineWeb()
    const before = [director.version, director.snapshot()]
    const error = t.throws(() => act(director), { instanceOf: DirectorError, code })
    t.deepEqual(
      error?.issues.map((issue) => [issue.code, issue.field]),
      [[code, field]],
    )
    t.deepEqual([director.version, director.snapshot()], before)
  })
}

test('a batch tells all its problems at once and applies none of its commands', (t) => {
  const { director } = offlineWeb()
  const commands: Command[] = [
    { type: 'add-service', service: { ...webKey, port: 443, scheduler: 'sh' } },
    { type: 'add-service', service: { ...webKey, scheduler: 'sh' } },
    { type: 'remove-server', service: webKey, server: { address: '10.0.0.99' } },
    { type: 'add-server', service: webKey, server: { address: '::1' } },
  ]
  const error = t.throws(() => director.apply(commands), { instanceOf: DirectorError })
  const found = new Map(error?.issues.map(({ field, code }) => [/commands\[\d\]/.exec(field)?.[0], code]))
  t.is(found.get('commands[1]'), 'ERR_DIRECTOR_SERVICE_EXISTS')
  t.is(found.get('commands[2]'), 'ERR_DIRECTOR_SERVER_NOT_FOUND')
  t.true(found.has('commands[3]'))
  t.false(found.has('commands[0]'))
  t.is(error?.code, 'ERR_DIRECTOR_INVALID_OPTIONS')
  t.is(director.services.length, 1)
})

test('servers are listed newest first, as IPVS lists them', (t) => {
  const { web } = offlineWeb(3)
  t.deepEqual(
    web.servers.map(({ address }) => address),
    ['10.0.0.13', '10.0.0.12', '10.0.0.11'],
  )
})

test('handles are one for each thing, however it is spelled', (t) => {
  const { director, web } = offlineWeb()
  t.is(director.service({ ...webKey }), web)
  t.is(web.server('10.0.0.11'), web.servers[1])
  t.is(web.server('10.0.0.11', 80), web.servers[1])
  t.is(web.server('10.0.0.99'), undefined)
  const six = director.addService({ protocol: 'udp', address: '2001:DB8:0::1', port: 53, scheduler: 'rr' })
  t.is(director.service({ protocol: 'udp', address: '2001:db8::1', port: 53 }), six)
  t.is(six.name, 'udp [2001:db8::1]:53')
})

test('direct routing speaks to a server at the port of the service, whatever was asked for', (t) => {
  const { web } = offlineWeb(0)
  const server = web.addServer({ address: '10.0.0.21', port: 8080 })
  t.is(server.port, 80)
  t.is(server.weight, 1)
  t.is(web.server('10.0.0.21'), server)
})

test('edits change what they name and leave the rest', (t) => {
  const { web } = offlineWeb()
  web.edit({ sloppy: true, persistence: { timeoutSeconds: 300 } })
  t.like(web.configuration, { scheduler: 'sh', sloppy: true, flags: ['sh-port', 'sh-fallback'] })
  web.edit({ persistence: null, sloppy: null })
  t.like(web.configuration, { persistence: null, sloppy: null })
  web.edit({ scheduler: 'rr' })
  t.like(web.configuration, { scheduler: 'rr', flags: [] })
  const server = web.server('10.0.0.11')?.edit({ upperThreshold: 10 })
  t.like(server?.configuration, { weight: 1, upperThreshold: 10 })
})

test('pause takes the weight and resume gives it back', (t) => {
  const { web } = offlineWeb()
  const server = web.server('10.0.0.11')?.setWeight(7)
  server?.pause().pause()
  t.is(server?.weight, 0)
  server?.edit({ upperThreshold: 5 })
  t.true(server?.paused)
  server?.resume()
  t.is(server?.weight, 7)
  t.false(server?.paused)
  server?.setWeight(0)
  t.throws(() => server?.resume(), { code: 'ERR_DIRECTOR_INVALID_COMBINATION' })
})

test('a removed server forgets that it was paused', (t) => {
  const { web } = offlineWeb()
  const server = web.server('10.0.0.11')
  server?.pause().remove()
  t.throws(() => server?.weight, { code: 'ERR_DIRECTOR_SERVER_NOT_FOUND' })
  t.throws(() => server?.setWeight(1), { code: 'ERR_DIRECTOR_SERVER_NOT_FOUND' })
  t.false(web.addServer({ address: '10.0.0.11', weight: 0 }).paused)
})

test('a removed service refuses everything but its name', (t) => {
  const { director, web } = offlineWeb()
  web.remove()
  t.is(web.name, 'tcp 192.0.2.80:80')
  t.throws(() => web.configuration, { code: 'ERR_DIRECTOR_SERVICE_NOT_FOUND' })
  t.throws(() => web.addServer({ address: '10.0.0.1' }), { code: 'ERR_DIRECTOR_SERVICE_NOT_FOUND' })
  t.throws(() => web.remove(), { code: 'ERR_DIRECTOR_SERVICE_NOT_FOUND' })
  t.deepEqual(director.services, [])
})

test('marks: defined, used by a service, cleared', (t) => {
  const { director } = offlineWeb()
  director.defineMark(7, [{ protocol: 'tcp', address: '192.0.2.0', prefixLength: 24, ports: [8000, 8099] }])
  const marked = director.addService({ mark: 7, family: 'ipv4', scheduler: 'rr' })
  marked.addServer({ address: '10.0.0.31' })
  t.is(marked.name, 'mark 7 ipv4')
  t.deepEqual(
    marked.servers.map(({ name }) => name),
    ['10.0.0.31:0'],
  )
  director.clear()
  t.deepEqual(director.services, [])
})

test('settings: sloppy is a shorthand; contradictions are told', (t) => {
  const { director } = offlineWeb(1, { sloppy: { tcp: true }, settings: { connReuseMode: 0 } })
  t.like(director.settings, { sloppyTcp: true, sloppySctp: false, connReuseMode: 0, tcpTimeoutSeconds: 900 })
  director.set({ sloppyTcp: false })
  t.false(director.settings.sloppyTcp)
  t.throws(() => offlineWeb(1, { sloppy: { tcp: true }, settings: { sloppyTcp: false } }), {
    code: 'ERR_DIRECTOR_INVALID_COMBINATION',
  })
})

test('equal configurations have equal digests; the order of servers counts', (t) => {
  const digest = (...addresses: string[]) => {
    const { director, web } = offlineWeb(0)
    for (const address of addresses) web.addServer({ address })
    return director.version.digest
  }
  t.is(digest('10.0.0.1', '10.0.0.2'), digest('10.0.0.1', '10.0.0.2'))
  t.not(digest('10.0.0.1', '10.0.0.2'), digest('10.0.0.2', '10.0.0.1'))
})

test('a configuration of a hundred thousand servers is taken and counted whole', (t) => {
  const services = Array.from({ length: 10_000 }, (_, index) => ({
    protocol: 'tcp' as const,
    address: `192.0.2.${index % 200}`,
    port: 1000 + Math.floor(index / 200),
    scheduler: 'rr' as const,
    servers: Array.from({ length: 10 }, (_, server) => ({ address: `10.0.${server}.${index % 250}` })),
  }))
  const director = Director.offline({ connections: 1024, services })
  const { services: counted } = director.snapshot()
  t.is(
    counted.reduce((sum, service) => sum + service.servers.length, 0),
    100_000,
  )
  t.is(director.configuration.services.length, 10_000)
})
