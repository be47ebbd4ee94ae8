import test from 'ava'

import type { LiveStatistics } from '../../lib/index.ts'
import { ended, Stage } from './stage.ts'

for (const family of ['ipv4', 'ipv6'] as const) {
  test(`${family}: datagrams of many fragments arrive whole, and so do the answers`, async (t) => {
    const stage = await Stage.open(t, { directors: 1 }, { protocols: ['udp'], families: [family] })
    await stage.serve('udp-echo', [family])
    const options = { flows: 20, count: 10, intervalMs: 20, payloadBytes: 20_000 }
    const { summary } = await ended(stage.client('udp-client', options, family))
    t.like(summary, { answered: 200, lost: 0, corrupt: 0, moved: 0 })
    const { fragments, forwarded, held, dropped } = (await stage.cluster
      .director(1)
      .call('snapshot')) as LiveStatistics
    t.deepEqual(
      dropped.filter(({ count }) => count > 0),
      [],
    )
    t.is(forwarded, 200)
    // Some datagrams are short enough to come whole.
    t.true(fragments.reassembled > 100 && held > 5 * fragments.reassembled, JSON.stringify(fragments))
    t.is(fragments.expired + fragments.evicted + fragments.waiting, 0)
  })
}
