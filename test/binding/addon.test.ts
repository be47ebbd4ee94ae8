import { Worker } from 'node:worker_threads'
import test from 'ava'
import { textOf, valueOf } from '../../lib/binding/text.ts'
import { nativeAddon } from '../../lib/native.ts'
import { nativeInfo } from '../../lib/index.ts'

const offline = [
  'advance',
  'apply',
  'configuration',
  'connections',
  'explain',
  'explainFrame',
  'now',
  'process',
  'processAll',
  'setHop',
  'statistics',
  'takeEvents',
  'takeReleased',
  'zero',
]
const live = [
  'apply',
  'close',
  'configuration',
  'connections',
  'explain',
  'start',
  'statistics',
  'takeEvents',
  'zero',
]

function methods(constructor: { prototype: object }): string[] {
  return Object.getOwnPropertyNames(constructor.prototype)
    .filter((name) => name !== 'constructor')
    .toSorted()
}

test('the addon has exactly what lib/binding/core.ts says', (t) => {
  const addon = nativeAddon()
  t.deepEqual(Object.keys(addon).toSorted(), [
    'BindingDirector',
    'BindingOfflineDirector',
    'notify',
    'peer',
    'version',
  ])
  t.deepEqual(methods(addon.BindingOfflineDirector), offline)
  t.deepEqual(methods(addon.BindingDirector), live)
})

test('the addon is the one that was built from these sources', (t) => {
  t.regex(nativeInfo().source, /native\/build\/(Release|Debug)\/director\.node$/)
})

test('a live director of the core that was never started answers that it is closed', async (t) => {
  const core = new (nativeAddon().BindingDirector)()
  t.like(valueOf(core.apply(textOf([]))), { error: { code: 'closed' } })
  t.like(valueOf(await core.statistics(textOf(null))), { error: { code: 'closed' } })
  t.deepEqual(valueOf(await core.close()), { value: null })
  t.deepEqual(valueOf(await core.close()), { value: null })
  const start = textOf({ interfaces: ['lo'], services: [] })
  t.true('error' in valueOf(await core.start(start, () => undefined)))
})

test('workers load the addon, each with directors of its own, and can be terminated at work', async (t) => {
  const program = `
    const { parentPort } = require('node:worker_threads')
    const { BindingOfflineDirector } = require(${JSON.stringify(nativeInfo().source)})
    const director = new BindingOfflineDirector({ connections: 1024 })
    parentPort.postMessage(JSON.parse(director.configuration('null')).value.services.length === 0)
    for (;;) director.process(Buffer.alloc(64), {})`
  for (let round = 0; round < 3; round += 1) {
    const worker = new Worker(program, { eval: true })
    t.is(await new Promise((resolve) => worker.once('message', resolve)), true)
    await worker.terminate()
  }
})
