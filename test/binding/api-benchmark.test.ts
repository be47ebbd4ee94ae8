import test from 'ava'

import { changes } from '../../benchmarks/api/changes.ts'
import { deciding } from '../../benchmarks/api/deciding.ts'
import { frames } from '../../benchmarks/api/frames.ts'
import { listing, statistics } from '../../benchmarks/api/listings.ts'
import { measure } from '../../benchmarks/api/measure.ts'
import { markdown } from '../../benchmarks/api/report.ts'

const seconds = 0.01

for (const subject of [deciding, frames, statistics(10), changes(10), listing(3000)]) {
  test(`${subject.title}: answers are right, and are timed`, async (t) => {
    const rows = await measure(subject, seconds)
    t.is(rows.length, subject.prepare().length)
    for (const { name, p50, p99, times } of rows) t.true(p50 > 0 && p99 >= p50 && times >= 3, name)
  })
}

test('what answers wrongly is not timed', async (t) => {
  const wrong = {
    title: 'sums',
    prepare: () => [{ name: '1 + 1', run: () => 3, isRight: (sum: unknown) => sum === 2 }],
  }
  await t.throwsAsync(measure(wrong, seconds), { message: 'sums, 1 + 1: the answer is wrong: 3' })
})

test('the report has a table for each subject', (t) => {
  const row = { subject: 'a', name: 'b', p50: 300, p99: 512.3, times: 9, items: 64, grown: 1.6 }
  t.is(
    markdown([row, { ...row, subject: 'c', items: 1 }]),
    [
      '| a | p50 µs | p99 µs | µs for each | times | grown by MB |',
      '|---|---|---|---|---|---|',
      '| b | 300 | 512 | 4.69 | 9 | 2 |',
      '',
      '| c | p50 µs | p99 µs | µs for each | times | grown by MB |',
      '|---|---|---|---|---|---|',
      '| b | 300 | 512 | 300 | 9 | 2 |',
      '',
    ].join('\n'),
  )
})
