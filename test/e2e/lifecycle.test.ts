import { fileURLToPath } from 'node:url'

import test, { type ExecutionContext } from 'ava'

import { directorOptions } from '../lab/director-options.ts'
import { hostInterface, Lab } from '../lab/topology.ts'

const program = fileURLToPath(new URL('lifecycle-program.ts', import.meta.url))
const tsx = fileURLToPath(import.meta.resolve('tsx'))

/** Plays a scenario that ends the process; answers with how it ended. */
async function playEnd(t: ExecutionContext, scenario: string): Promise<string> {
  const lab = await Lab.create({ directors: 1, servers: 1 })
  t.teardown(() => lab.close())
  const host = lab.director(1)
  const options = JSON.stringify(directorOptions({ servers: 1 }))
  const command = [process.execPath, '--import', tsx, program, scenario, options]
  const ended = await host.run(...command).then(
    () => 'status 0',
    (error: Error) => error.message,
  )
  t.false((await host.run('tc', 'qdisc', 'show', 'dev', hostInterface)).includes('clsact'))
  return ended
}

/** Plays a scenario in a director's namespace; afterwards nothing of a director may be left there. */
async function play(t: ExecutionContext, scenario: string, servers = 1): Promise<unknown> {
  const lab = await Lab.create({ directors: 1, servers })
  t.teardown(() => lab.close())
  const host = lab.director(1)
  const options = JSON.stringify(directorOptions({ servers: 1 }))
  const output = await host.run(process.execPath, '--import', tsx, program, scenario, options)
  t.false((await host.run('tc', 'qdisc', 'show', 'dev', hostInterface)).includes('clsact'))
  return JSON.parse(output)
}

test('a Worker terminated with a running director leaves nothing behind', async (t) => {
  const { services, ...codes } = (await play(t, 'terminate')) as { services: number }
  t.true(services > 0)
  t.deepEqual(codes, { taken: 'ERR_DIRECTOR_SERVICE_IN_USE', again: 'resolved' })
})

test('a start that is aborted leaves nothing behind', async (t) => {
  t.deepEqual(await play(t, 'abort'), { start: 'ERR_DIRECTOR_ABORTED', again: 'resolved' })
})

test('closing twice is one closing; calls behind it are refused', async (t) => {
  const closings = ['resolved', 'resolved']
  t.deepEqual(await play(t, 'close'), { same: true, closings, late: 'ERR_DIRECTOR_CLOSED' })
})

test('a director holds the event loop until unref()', async (t) => {
  t.deepEqual(await play(t, 'unref'), { held: true, stillHeld: false })
})

test('a director that its program holds nothing of goes on and tells', async (t) => {
  t.deepEqual(await play(t, 'forgotten'), { told: hostInterface })
})

test('directors leave no threads behind', async (t) => {
  t.deepEqual(await play(t, 'rounds'), { grown: 0 })
})

for (const scenario of ['exit', 'exitWhileStarting', 'exitSoonWhileStarting', 'exitWhileClosing']) {
  test(`process.exit() leaves nothing behind: ${scenario}`, async (t) => {
    t.is(await playEnd(t, scenario), 'status 0')
  })
}

for (const scenario of ['throw', 'reject']) {
  test(`a process that ends by an error leaves nothing behind: ${scenario}`, async (t) => {
    t.regex(await playEnd(t, scenario), /as told/)
  })
}

for (const scenario of ['exitInWorker', 'exitInWorkerWhileStarting']) {
  test(`a Worker that calls process.exit() leaves nothing behind: ${scenario}`, async (t) => {
    t.deepEqual(await play(t, scenario), { status: 3, again: 'resolved' })
  })
}

test('rights given up after the start: neighbours are found, and close() says what stays', async (t) => {
  t.deepEqual(await play(t, 'rights', 2), {
    told: ['ERR_DIRECTOR_NEIGHBOUR'],
    failing: ['neighbour'],
    code: 'ERR_DIRECTOR_GUARD_FAILED',
    names: true,
  })
})

test('what fails for a while is told once, and once when it is over', async (t) => {
  const told = ['ERR_DIRECTOR_NEIGHBOUR', 'recovered ERR_DIRECTOR_NEIGHBOUR']
  t.deepEqual(await play(t, 'recovery'), { told, failing: [] })
})

test('a start with few descriptors says what to do, or does without the fast path', async (t) => {
  const refusals = ['ERR_DIRECTOR_SOCKET raise its limit']
  t.deepEqual(await play(t, 'descriptors'), { refusals, grown: false, started: true })
})
