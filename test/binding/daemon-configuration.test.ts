import { readFileSync } from 'node:fs'
import test from 'ava'
import fc from 'fast-check'
import { checkConfiguration, ConfigurationFileError } from '../../lib/daemon/configuration-file.ts'
import { daemonOptions } from '../../lib/daemon/daemon-options.ts'
import { jsonLines } from '../../lib/daemon/json-lines.ts'
import { Problems } from '../../lib/options/problems.ts'
import { accepts } from './daemon-schema.ts'

const schema = JSON.parse(
  readFileSync(new URL('../../schema/configuration.schema.json', import.meta.url), 'utf8'),
)

const good = {
  interfaces: ['eth0'],
  control: '/run/x.sock',
  connections: 1024,
  workers: 2,
  spread: 'address',
  ringFrames: 100,
  fragmentOctets: 100_000,
  answerNeighbours: false,
  fastPath: true,
  busyPollMicroseconds: 100,
  bypassQueue: true,
  promiscuous: false,
  sloppy: { tcp: true, sctp: false },
  settings: {
    sloppyTcp: true,
    sloppySctp: false,
    scheduleIcmp: true,
    expireNodestConn: true,
    expireQuiescentTemplate: true,
    connReuseMode: 1,
    pmtuDisc: true,
    natIcmpSend: false,
    routeServers: true,
    resetMidstream: true,
    strictAddresses: true,
    tcpTimeoutSeconds: 900,
    tcpFinTimeoutSeconds: 120,
    udpTimeoutSeconds: 300,
    dropEntry: 0,
    dropPacket: 0,
    secureTcp: 0,
    amDroprate: 10,
    amemthresh: 1024,
    runEstimation: true,
    icmpErrorsPerSecond: 0,
  },
  marks: [
    {
      mark: 1,
      matches: [
        {
          protocol: 'tcp',
          address: '192.0.2.0',
          prefixLength: 24,
          ports: [1, 2],
          source: '198.51.100.0',
          sourcePrefixLength: 24,
          sourcePorts: [3, 4],
          interface: 1,
          vlan: 5,
        },
      ],
    },
  ],
  services: [
    {
      protocol: 'tcp',
      address: '192.0.2.80',
      port: 80,
      scheduler: 'sh',
      flags: ['sh-port'],
      sloppy: true,
      persistence: { timeoutSeconds: 300, prefixLength: 24 },
      onePacket: false,
      servers: [
        {
          address: '10.0.0.1',
          port: 80,
          weight: 1,
          forwarding: 'tunnelling',
          tunnel: { type: 'gue', port: 6080, checksum: 'csum' },
          upperThreshold: 5,
          lowerThreshold: 1,
        },
      ],
    },
    { protocol: 'udp', address: '2001:db8::', prefixLength: 64, ports: [1, 9], scheduler: 'rr' },
    { mark: 1, family: 'ipv4', scheduler: 'wlc' },
  ],
  rules: 'saved.rules',
  drain: { deadlineSeconds: 10, refuseNew: true },
  proc: { path: '/run/l4-director/proc', intervalSeconds: 5 },
  logLevel: 'debug',
}

function agrees(value: unknown): boolean {
  const problems = new Problems()
  const isAccepted = daemonOptions(value, '', problems) !== undefined
  return isAccepted === accepts(schema, value)
}

type Path = readonly (string | number)[]

/** Every place within a value. */
function places(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  return [path, ...Object.entries(value).flatMap(([name, inner]) => places(inner, [...path, name]))]
}

/** A copy with something else, or nothing, at a place. */
function changed(value: unknown, [name, ...rest]: Path, to: unknown): unknown {
  if (name === undefined) return to
  const copy: unknown = Array.isArray(value) ? [...value] : { ...(value as object) }
  const inner = changed(Reflect.get(copy as object, name), rest, to)
  if (inner === undefined && !Array.isArray(copy)) Reflect.deleteProperty(copy as object, name)
  else Reflect.set(copy as object, name, inner ?? null)
  return copy
}

const values = [
  undefined,
  null,
  true,
  '',
  'x',
  '192.0.2.1',
  'fe80::1%eth0',
  [],
  {},
  [1, 2],
  -1,
  0,
  1,
  1.5,
  15,
  2 ** 16,
  2 ** 31,
  2 ** 32,
  { mark: 1 },
  { ports: [] },
]

test('the schema and the checks know the same fields and agree on a file that has them all', (t) => {
  t.true(accepts(schema, good))
  t.is(checkConfiguration('good.json', JSON.stringify(good)).configuration.services.length, 3)
  const { $schema: _schema, ...properties } = schema.properties
  t.deepEqual(Object.keys(good).toSorted(), Object.keys(properties).toSorted())
  t.deepEqual(Object.keys(good.settings).toSorted(), Object.keys(schema.$defs.settings.properties).toSorted())
})

test('the schema and the checks agree about whatever is put in each place', (t) => {
  for (const path of places(good))
    for (const value of values) {
      const other = changed(good, path, value)
      t.true(agrees(other), `${path.join('.')} = ${JSON.stringify(value)}`)
    }
})

test('property: the schema and the checks agree about several changes at once', (t) => {
  const change = fc.tuple(
    fc.constantFrom(...places(good)),
    fc.oneof(fc.constantFrom(...values), fc.jsonValue()),
  )
  const agree = fc.property(fc.array(change, { maxLength: 4 }), (changes) => {
    const other = changes.reduce<unknown>((value, [path, to]) => {
      try {
        return changed(value, path, to)
      } catch {
        return value
      }
    }, good)
    t.true(agrees(other))
  })
  fc.assert(agree, { numRuns: 500 })
})

const text = `{
  "interfaces": ["eth0"],
  "services": [
    { "protocol": "tcp", "address": "192.0.2.80", "port": 80, "scheduler": "sh",
      "servers": [
        { "address": "10.0.0.1" },
        { "address": "10.0.0.1" },
        { "weight": -1, "weight": 2 }
      ]
    }
  ]
}`

test('every problem of a file is told with its line', (t) => {
  const error = t.throws(() => checkConfiguration('f.json', text), { instanceOf: ConfigurationFileError })
  t.deepEqual(
    error.issues.map(({ line, field }) => [line, field]),
    [
      [8, 'services[0].servers[2].weight'],
      [8, 'services[0].servers[2].address'],
    ],
  )
  const core = t.throws(() => checkConfiguration('f.json', text.replace(/,\n.*"weight": 2 }/, '')), {
    instanceOf: ConfigurationFileError,
  })
  t.like(core.issues[0], { line: 7, field: 'services[0].servers[1]', code: 'ERR_DIRECTOR_SERVER_EXISTS' })
  t.regex(core.message, /^f\.json:7: services\[0\]\.servers\[1\]: /)
})

test('what is no JSON is told with the line where it ends to be', (t) => {
  const error = t.throws(() => checkConfiguration('f.json', '{\n  "interfaces": ["eth0"],\n}\n'), {
    instanceOf: ConfigurationFileError,
  })
  t.is(error.issues[0]?.line, 3)
  t.notThrows(() => checkConfiguration('f.json', '{"interfaces":["eth0"]}'))
  for (const broken of ['', '[', 'x'])
    t.throws(() => checkConfiguration('f.json', broken), { instanceOf: ConfigurationFileError })
})

test('property: each field is found in its line', (t) => {
  const found = fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,4}$/), fc.jsonValue()), (value) => {
    const source = JSON.stringify(value, null, 1)
    const { lineOf, twice } = jsonLines(source)
    t.deepEqual(twice, [])
    for (const name of Object.keys(value))
      t.true(source.split('\n')[lineOf(name) - 1]?.startsWith(` "${name}":`))
  })
  fc.assert(found, { numRuns: 200 })
})
