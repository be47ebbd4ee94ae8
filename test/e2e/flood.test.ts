import test from 'ava'

import { runAll } from '../../benchmarks/forwarding/run.ts'
import { isPermitted } from './fast-path-right.ts'

// A flood that the worker cannot keep up with, in the network of the benchmark. How long exchanges wait
// there is measured by the benchmark, beside the kernel. Here the bound only tells waiting from starving:
// who is not known beside a flood loses every packet of some, and waits for seconds.
const longestMs = 2000
const connections = 2000

for (const kind of ['syn', 'ack'] as const) {
  test.serial(`${connections} quiet connections stay, and answer, beside a flood of ${kind}`, async (t) => {
    t.timeout(120_000)
    const name = `flood-${kind}`
    const { results } = await runAll({
      cases: [name],
      rivals: ['director'],
      rounds: 1,
      seconds: 1,
      quiet: connections,
      progress: (line) => t.log(line),
    })
    const figure = (of: string): number => results.rounds(`${name}.${of}`, 'director')[0] ?? Number.NaN
    t.true(figure('dropped') > 10_000, `the rings held the flood: ${figure('dropped')}`)
    // Who may not load programs has one ring for all (docs/operating.md).
    if (!(await isPermitted())) return
    t.is(figure('broken'), 0)
    t.true(figure('longest') < longestMs, `longest: ${figure('longest')} ms`)
    // What becomes of strangers' first packets is the benchmark's to measure: they share a ring with the flood.
    t.log(`new connections a second: ${figure('new')}`)
  })
}
