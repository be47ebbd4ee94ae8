import test from 'ava'

import { ended, Stage } from './stage.ts'

test('datagrams of many fragments arrive whole, and so do the answers', async (t) => {
  const stage = await Stage.open(t, { directors: 1 }, { protocols: ['udp'] })
  await stage.serve('udp-echo')
  const options = { flows: 20, count: 10, intervalMs: 20, payloadBytes: 20_000 }
  const { summary } = await ended(stage.client('udp-client', options))
  t.like(summary, { answered: 200, lost: 0, moved: 0 })
})
