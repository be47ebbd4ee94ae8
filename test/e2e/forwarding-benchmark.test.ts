import test from 'ava'

import { Meter } from '../../benchmarks/forwarding/measure.ts'
import { Network } from '../../benchmarks/forwarding/network.ts'
import { findNft, runAll } from '../../benchmarks/forwarding/run.ts'
import type { RivalName } from '../../benchmarks/forwarding/rivals.ts'

// Not how fast anybody is: that everybody forwards, and that what is counted arrived.

const packets: readonly RivalName[] = ['director', 'rings', 'kernel', 'bare', 'dnat', 'ingress']
const proxies: readonly RivalName[] = ['haproxy', 'nginx']

test('every contender forwards, and only what arrives is counted', async (t) => {
  t.timeout(120_000)
  const { results, run } = await runAll({
    cases: ['udp-1k', 'bulk-1', 'connections'],
    rivals: [...packets, ...proxies],
    rounds: 1,
    seconds: 0.3,
    quiet: 1,
    progress: (line) => t.log(line),
  })
  t.deepEqual([...run.absent], [])
  for (const rival of packets) t.true((results.rounds('udp-1k.rate', rival)[0] ?? 0) > 1000, rival)
  for (const rival of [...packets, ...proxies]) {
    t.true((results.rounds('bulk-1.rate', rival)[0] ?? 0) > 0.01, rival)
    t.true((results.rounds('connections.rate', rival)[0] ?? 0) > 10, rival)
  }
})

test('what nobody forwards is not counted', async (t) => {
  const network = await Network.create()
  const site = await network.addSite('nobody')
  const meter = await Meter.start(network, findNft(), [site])
  t.teardown(async () => {
    await meter.close()
    await network.close()
  })
  const { sent, arrived } = await meter.flood(site, { flows: 10, seconds: 2, count: 1000 })
  t.true(sent >= 1000)
  t.is(arrived, 0)
})
