import { fileURLToPath } from 'node:url'

import test from 'ava'

import { hostInterface, Lab } from '../lab/topology.ts'

const program = fileURLToPath(new URL('../../examples/embed.ts', import.meta.url))
const tsx = fileURLToPath(import.meta.resolve('tsx'))

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  test(`the example that embeds a director ends in order on ${signal}`, async (t) => {
    const lab = await Lab.create({ directors: 1, servers: 1 })
    t.teardown(() => lab.close())
    const host = lab.director(1)
    const filters = (): Promise<string> => host.run('tc', 'filter', 'show', 'dev', hostInterface, 'ingress')
    const example = host.start('example', [process.execPath, '--import', tsx, program])
    t.teardown(() => example.kill('SIGKILL'))
    // It handles signals by the time it counts.
    while (!example.complaints.includes('frames forwarded')) {
      if (example.exit) return t.fail(example.complaints)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    t.not(await filters(), '')
    t.deepEqual(await example.kill(signal), { status: 0, signal: null })
    t.is(await filters(), '')
    t.false((await host.run('tc', 'qdisc', 'show', 'dev', hostInterface)).includes('clsact'))
  })
}
