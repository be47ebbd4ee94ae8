import { setTimeout as sleep } from 'node:timers/promises'

import test from 'ava'

import { check, contract } from '../../benchmarks/contract.ts'
import { cases } from '../../benchmarks/forwarding/cases.ts'
import { bisect } from '../../benchmarks/forwarding/limits.ts'
import { busySeconds, processSeconds } from '../../benchmarks/forwarding/measure.ts'
import { groupsOf, picture } from '../../benchmarks/forwarding/picture.ts'
import { json, markdown } from '../../benchmarks/forwarding/report.ts'
import { Results } from '../../benchmarks/forwarding/results.ts'
import { rivals } from '../../benchmarks/forwarding/rivals.ts'

const run = { rounds: 3, seconds: 1, absent: new Map([['ipvs', 'no ipvsadm']]) }

/** Three rounds: over the kernel 0.5, 1.0, 0.9; over DNAT 2 each time. */
function measured(): Results {
  const results = new Results()
  const rounds = [
    { director: 50, kernel: 100, dnat: 25 },
    { director: 80, kernel: 80, dnat: 40 },
    { director: 90, kernel: 100, dnat: 45 },
  ]
  for (const round of rounds) {
    for (const [rival, rate] of Object.entries(round)) results.add('udp-10k', rival, { rate })
  }
  return results
}

test('a promise is held against the median of the ratios round by round', (t) => {
  const promises = [
    { figure: 'udp-10k.rate', over: { rival: 'kernel' }, atLeast: 0.9 },
    { figure: 'udp-10k.rate', over: { rival: 'kernel' }, atLeast: 0.91 },
    { figure: 'udp-10k.rate', over: { rival: 'dnat' }, atMost: 1.9 },
    { figure: 'udp-10k.rate', atLeast: 80 },
    { figure: 'udp-10k.rate', over: { rival: 'haproxy' }, atLeast: 9 },
    { figure: 'udp-10k.rate', of: 'rings', atLeast: 9 },
    { figure: 'udp-10k.rate', atMost: 80, inEveryRound: true },
    { figure: 'udp-10k.rate', atLeast: 50, inEveryRound: true },
  ] as const
  const checked = check(measured(), promises)
  t.deepEqual(
    checked.map(({ seen, isKept }) => [seen, isKept]),
    [
      [0.9, true],
      [0.9, false],
      [2, false],
      [80, true],
      [undefined, true],
      [undefined, true],
      [90, false],
      [50, true],
    ],
  )
  t.is(checked[1]?.name, 'udp-10k.rate over kernel')
  t.is(checked[2]?.bound, 'at most 1.9')
  t.is(checked[5]?.name, 'udp-10k.rate (rings)')
  t.is(checked[6]?.bound, 'at most 80 in every round')
})

test('the contract names figures and contenders that exist', (t) => {
  for (const { figure, of = 'director', over, atLeast, atMost } of contract) {
    t.true(of in rivals, of)
    const names = [figure, over !== undefined && 'figure' in over ? over.figure : figure]
    for (const name of names) {
      const [caseName = '', figureName = ''] = name.split('.')
      t.truthy(cases[caseName]?.figures[figureName], name)
    }
    if (over !== undefined && 'rival' in over) t.true(over.rival in rivals, over.rival)
    t.is([atLeast, atMost].filter((bound) => bound !== undefined).length, 1, figure)
  }
})

test('the report has medians, spreads, what is missing, and the contract', (t) => {
  const text = markdown(measured(), run)
  t.true(text.includes('| kernel forwarding | 100 (80.00 to 100) | 0.90 (0.50 to 1.00) |'), text)
  t.true(text.includes('not there: kernel IPVS: no ipvsadm'))
  t.true(text.includes('| udp-10k.rate over kernel | at least 0.85 | 0.90 | kept |'))
  const { figures, contract: held } = JSON.parse(json(measured(), run)) as Record<string, object[]>
  t.is(figures?.length, 1)
  t.deepEqual(
    held?.find((one) => 'name' in one && one.name === 'udp-10k.rate over bare'),
    { name: 'udp-10k.rate over bare', bound: 'at least 0.93', seen: null, kept: null },
  )
})

test('the picture has a bar, a whisker and a bound for each contender', (t) => {
  const groups = groupsOf(measured())
  t.is(groups.length, 1)
  t.deepEqual(
    groups[0]?.bars.map(({ label, bound }) => [label, bound]),
    [
      ['kernel forwarding', 0.85],
      ['nftables DNAT', 1],
    ],
  )
  const bars = [
    { label: 'a < b', ratios: [1, 1.5, 3], bound: undefined },
    { label: 'far', ratios: [7], bound: 2 },
  ]
  const svg = picture([{ heading: 'h', bars }])
  t.is(svg.match(/class="bar"/gu)?.length, 2)
  t.is(svg.match(/class="bound"/gu)?.length, 1)
  t.true(svg.includes('a &lt; b') && svg.includes('7.00 (cut)'))
  // 520 wide for ratios up to 3, from 190 on.
  t.true(svg.includes('x="190" y="54" width="260"'), svg)
  t.true(svg.includes('M363 60H710'), svg)
})

test('bisection ends close below the limit, and at 0 when nothing passes', async (t) => {
  const found = await bisect(128, async (value) => value <= 77.7)
  t.true(found <= 77.7 && found > 76.6, String(found))
  t.is(await bisect(128, async () => false), 0)
})

test('busy time is all but idle and waiting', (t) => {
  t.is(busySeconds('cpu  100 10 200 9000 500 7 3 40 0 0\ncpu0 1 2 3'), 3.2)
})

test('the time a process used is told finer than in clock ticks', async (t) => {
  const before = processSeconds(process.pid)
  let after = before
  // The kernel adds it up when a thread goes to sleep.
  while (after === before) {
    await sleep(1)
    after = processSeconds(process.pid)
  }
  t.true(before > 0 && after - before < 0.01, `${after - before} s`)
})

test('a connection that failed is told with its contender, beside what was measured', (t) => {
  const results = measured()
  results.addFailure({
    case: 'udp-10k',
    rival: 'kernel',
    round: 2,
    what: 'tcp-short: {"failed":{"reset":1}}',
  })
  const told = '- failed: `udp-10k`, kernel forwarding, round 2: tcp-short: {"failed":{"reset":1}}'
  t.true(markdown(results, run).includes(told))
  t.deepEqual((JSON.parse(json(results, run)) as { failures: object[] }).failures, results.failures)
})

test('two contenders of which nothing broke are alike, in the table and in the picture', (t) => {
  const results = new Results()
  for (const rival of ['director', 'kernel']) results.add('flood-syn', rival, { broken: 0 })
  t.true(markdown(results, run).includes('| kernel forwarding | 0.00 (0.00 to 0.00) | 1.00 (1.00 to 1.00) |'))
  t.false(picture(groupsOf(results)).includes('NaN'))
})
