import { mock } from 'node:test'
import test from 'ava'
import { takeNotified } from './fake/fake.ts'
import { ServiceManager } from '../../lib/daemon/service-manager.ts'

const socket = '@manager'
const alive = async (): Promise<void> => undefined
const states = (): string[] => takeNotified().map(({ state }) => state)
const noFailure = (why: string): void => {
  throw new Error(why)
}

test.beforeEach(() => mock.timers.enable({ apis: ['setInterval'] }))
test.afterEach.always(() => mock.timers.reset())

/** Lets promises settle that wait for nothing. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

test.serial('the manager is told of start, reload and stop', (t) => {
  const manager = new ServiceManager({ NOTIFY_SOCKET: socket }, noFailure)
  manager.ready(alive)
  manager.reloading()
  manager.stopping()
  const told = takeNotified()
  t.true(told.every((one) => one.socket === socket))
  const [ready, reloading, stopping] = told.map(({ state }) => state)
  t.is(ready, `READY=1\nMAINPID=${process.pid}`)
  t.regex(reloading ?? '', /^RELOADING=1\nMONOTONIC_USEC=\d+$/)
  t.is(stopping, 'STOPPING=1')
})

test.serial(
  'signs of life come twice in the time the manager allows, while the director lives',
  async (t) => {
    const manager = new ServiceManager({ NOTIFY_SOCKET: socket, WATCHDOG_USEC: '10000000' }, noFailure)
    let lives = true
    manager.ready(async () => {
      if (!lives) throw new Error('no answer')
    })
    takeNotified()
    mock.timers.tick(5000)
    await settled()
    t.deepEqual(states(), ['WATCHDOG=1'])
    lives = false
    mock.timers.tick(5000)
    await settled()
    t.deepEqual(states(), [])
    lives = true
    manager.close()
    mock.timers.tick(5000)
    await settled()
    t.deepEqual(states(), [])
  },
)

test.serial('a watchdog for another process is not ours', async (t) => {
  const environment = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '10000000', WATCHDOG_PID: '1' }
  const manager = new ServiceManager(environment, noFailure)
  manager.ready(alive)
  takeNotified()
  mock.timers.tick(5000)
  await settled()
  t.deepEqual(states(), [])
})

test.serial('without a manager nobody is told; one that is gone is a line in the log', (t) => {
  new ServiceManager({}, noFailure).ready(alive)
  t.deepEqual(states(), [])
  const failures: string[] = []
  new ServiceManager({ NOTIFY_SOCKET: '/nobody' }, (why) => failures.push(why)).ready(alive)
  t.deepEqual(failures, ['nobody listens'])
})
