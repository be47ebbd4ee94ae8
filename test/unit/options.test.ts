import test from 'ava'
import fc from 'fast-check'
import type { DirectorErrorCode } from '../../lib/index.ts'
import { DirectorError } from '../../lib/index.ts'
import type { Check } from '../../lib/options/check.ts'
import { checked } from '../../lib/options/check.ts'
import { commands } from '../../lib/options/command.ts'
import { Problems } from '../../lib/options/problems.ts'
import { serverSpec } from '../../lib/options/server.ts'
import { serviceOptions } from '../../lib/options/service.ts'
import { directorOptions } from '../../lib/options/start.ts'

const service = { protocol: 'tcp', address: '192.0.2.80', port: 80, scheduler: 'sh' }

function refusal(check: Check<unknown>, value: unknown): DirectorError {
  try {
    checked(check, value, new Problems())
  } catch (error) {
    if (error instanceof DirectorError) return error
    throw error
  }
  throw new Error('was accepted')
}

function told(check: Check<unknown>, value: unknown): [DirectorErrorCode, string][] {
  return refusal(check, value).issues.map(({ code, field }) => [code, field])
}

test('all problems are told at once, each with its field and code', (t) => {
  const bad = {
    ...service,
    port: 70_000,
    address: 'example.org',
    colour: 'red',
    servers: [{ address: '10.0.0.11', weight: -1 }, { weight: 1.5 }],
  }
  t.deepEqual(told(serviceOptions, bad), [
    ['ERR_DIRECTOR_INVALID_OPTIONS', 'colour'],
    ['ERR_DIRECTOR_INVALID_ADDRESS', 'address'],
    ['ERR_DIRECTOR_OUT_OF_RANGE', 'port'],
    ['ERR_DIRECTOR_OUT_OF_RANGE', 'servers[0].weight'],
    ['ERR_DIRECTOR_INVALID_OPTIONS', 'servers[1].address'],
    ['ERR_DIRECTOR_OUT_OF_RANGE', 'servers[1].weight'],
  ])
})

test('the code is that of the problems when they share one', (t) => {
  t.is(refusal(serverSpec, { address: '10.0.0.11', weight: 2 ** 31 }).code, 'ERR_DIRECTOR_OUT_OF_RANGE')
  t.is(refusal(serverSpec, { address: 'x', weight: 2 ** 31 }).code, 'ERR_DIRECTOR_INVALID_OPTIONS')
})

test('a message names the field, the value and what is allowed', (t) => {
  const { message } = refusal(serverSpec, { address: '10.0.0.11', weight: -1 })
  t.is(message, 'weight: -1 is not a whole number from 0 to 2147483647')
})

test('edges of ranges are accepted', (t) => {
  for (const weight of [0, 2 ** 31 - 1])
    t.notThrows(() => checked(serverSpec, { address: '::1', weight }, new Problems()))
  for (const port of [0, 65_535])
    t.notThrows(() => checked(serviceOptions, { ...service, port }, new Problems()))
})

test('fields that are undefined count as absent', (t) => {
  t.deepEqual(checked(serverSpec, { address: '10.0.0.1', weight: undefined }, new Problems()), {
    address: '10.0.0.1',
  })
})

test('addresses with a zone are refused, because no packet carries one', (t) => {
  t.deepEqual(told(serverSpec, { address: 'fe80::1%eth0' }), [['ERR_DIRECTOR_INVALID_ADDRESS', 'address']])
})

test('a director needs an interface', (t) => {
  t.deepEqual(told(directorOptions, {}), [['ERR_DIRECTOR_INVALID_OPTIONS', 'interfaces']])
  t.deepEqual(told(directorOptions, { interfaces: [] }), [['ERR_DIRECTOR_INVALID_OPTIONS', 'interfaces']])
  t.deepEqual(told(directorOptions, { interfaces: ['eth0', ''] }), [
    ['ERR_DIRECTOR_INVALID_OPTIONS', 'interfaces[1]'],
  ])
})

test('services by mark are told from services by address', (t) => {
  t.deepEqual(checked(serviceOptions, { mark: 7, family: 'ipv6' }, new Problems()), {
    mark: 7,
    family: 'ipv6',
  })
  t.deepEqual(told(serviceOptions, { mark: 0, family: 'ipv5' }), [
    ['ERR_DIRECTOR_OUT_OF_RANGE', 'mark'],
    ['ERR_DIRECTOR_INVALID_OPTIONS', 'family'],
  ])
})

test('commands of an unknown type are refused', (t) => {
  t.deepEqual(told(commands, [{ type: 'clear' }, { type: 'reboot' }, null]), [
    ['ERR_DIRECTOR_INVALID_OPTIONS', '[1].type'],
    ['ERR_DIRECTOR_INVALID_OPTIONS', '[2]'],
  ])
})

test('property: whatever comes in, the answer is acceptance or a DirectorError with issues', (t) => {
  for (const check of [serviceOptions, serverSpec, directorOptions, commands] as Check<unknown>[]) {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        const problems = new Problems()
        const answer = check(value, '', problems)
        return (answer === undefined) === problems.issues.length > 0
      }),
    )
  }
  t.pass()
})

test('property: what is accepted comes out as it went in', (t) => {
  const server = fc.record(
    {
      address: fc.oneof(fc.ipV4(), fc.ipV6()),
      port: fc.integer({ min: 1, max: 65_535 }),
      weight: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
      upperThreshold: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    },
    { requiredKeys: ['address'], noNullPrototype: true },
  )
  fc.assert(fc.property(server, (value) => t.deepEqual(checked(serverSpec, value, new Problems()), value)))
})
