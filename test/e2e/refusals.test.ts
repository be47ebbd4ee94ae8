import test, { type ExecutionContext } from 'ava'

import { directorOptions } from '../lab/director-options.ts'
import { DirectorProgram, DirectorRefusal, type StartOptions } from '../lab/director-program.ts'
import { Lab } from '../lab/topology.ts'
import { guardFilters, hasFilterHook } from './guard-filters.ts'

async function oneDirector(t: ExecutionContext): Promise<Lab> {
  const lab = await Lab.create({ directors: 1, servers: 1 })
  t.teardown(() => lab.close())
  return lab
}

const options = directorOptions({ servers: 1 })

/** Starts a director that has to refuse, and answers with the code of its error. */
async function refusal(
  t: ExecutionContext,
  lab: Lab,
  more: object = {},
  start: StartOptions = {},
): Promise<DirectorRefusal> {
  const attempt = DirectorProgram.start(lab, 1, { ...options, ...more }, start)
  const error = await t.throwsAsync(attempt, { instanceOf: DirectorRefusal })
  if (error === undefined) throw new Error('the director started')
  t.log(error.message)
  return error
}

/** Nothing of a director that refused may stay behind. */
async function expectUntouched(t: ExecutionContext, lab: Lab): Promise<void> {
  t.false(await hasFilterHook(lab.director(1)))
}

for (const capability of ['net_raw', 'net_admin']) {
  test(`without CAP_${capability.toUpperCase()} a director says so`, async (t) => {
    const lab = await oneDirector(t)
    const through = ['setpriv', '--inh-caps', `-${capability}`, '--bounding-set', `-${capability}`]
    const { code, message } = await refusal(t, lab, {}, { through })
    t.is(code, 'ERR_DIRECTOR_MISSING_CAPABILITY')
    t.true(message.includes(`CAP_${capability.toUpperCase()}`))
    await expectUntouched(t, lab)
  })
}

test('an unknown interface is named', async (t) => {
  const lab = await oneDirector(t)
  const { code, message } = await refusal(t, lab, { interfaces: ['lan7'] })
  t.is(code, 'ERR_DIRECTOR_INTERFACE_NOT_FOUND')
  t.true(message.includes('lan7'))
  await expectUntouched(t, lab)
})

test('a second director on the same service and interface is refused until the first is gone', async (t) => {
  const lab = await oneDirector(t)
  const first = await DirectorProgram.start(lab, 1, options)
  const { code } = await refusal(t, lab)
  t.is(code, 'ERR_DIRECTOR_SERVICE_IN_USE')
  await first.kill()
  const second = await DirectorProgram.start(lab, 1, options)
  t.is((await second.close()).status, 0)
  // The hook the filters hung on may stay: neither of the two can know that nobody else uses it.
  t.deepEqual(await guardFilters(lab.director(1)), [])
})

test('directors of different services share an interface', async (t) => {
  const lab = await oneDirector(t)
  const first = await DirectorProgram.start(lab, 1, options)
  const second = await DirectorProgram.start(lab, 1, directorOptions({ servers: 1, port: 443 }))
  t.is((await first.close()).status, 0)
  t.is((await second.close()).status, 0)
  // The hook the filters hung on may stay: neither of the two can know that nobody else uses it.
  t.deepEqual(await guardFilters(lab.director(1)), [])
})
