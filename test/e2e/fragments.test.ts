import test from 'ava'

import { ended, Stage } from './stage.ts'

for (const family of ['ipv4', 'ipv6'] as const) {
  test(`${family}: datagrams of many fragments arrive whole, and so do the answers`, async (t) => {
    const stage = await Stage.open(t, { directors: 1 }, { protocols: ['udp'], families: [family] })
    await stage.serve('udp-echo', [family])
    // Hosts keep about 200 KB for a neighbour they have to ask for first, less than one round of
    // these datagrams.
    const known = await ended(stage.client('udp-client', { flows: 20, count: 1, allowLoss: 20 }, family))
    t.is(known.summary['refused'], 0)
    const options = { flows: 20, count: 10, intervalMs: 20, payloadBytes: 20_000 }
    const { summary } = await ended(stage.client('udp-client', options, family))
    t.like(summary, { answered: 200, lost: 0, moved: 0 })
  })
}
