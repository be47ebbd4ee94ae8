// Which flows would move to another server if a configuration changed? For a check before a change
// is rolled out: the exit status is 1 when more bystanders move than allowed. A bystander moves
// although its old server still takes new connections, and not to a server that was added: nothing
// but the hash table made it move. Needs no privileges.
//
//     npx tsx examples/what-if.ts

import { Director, type ServerOptions } from 'l4-director'

const SAMPLES = 4000
const BYSTANDERS_ALLOWED = 0.01

const virtual = { protocol: 'tcp', address: '192.0.2.80', port: 80 } as const

/** The server that each of the sampled flows is placed on. */
function places(servers: readonly ServerOptions[]): (string | undefined)[] {
  const service = { ...virtual, scheduler: 'sh', flags: ['sh-port', 'sh-fallback'], servers } as const
  const director = Director.offline({ services: [service] })
  return Array.from({ length: SAMPLES }, (_, index) => {
    const flow = {
      protocol: virtual.protocol,
      clientAddress: `10.${index % 251}.${index % 241}.${(index % 239) + 1}`,
      clientPort: 1024 + ((index * 7919) % 64_000),
      virtualAddress: virtual.address,
      virtualPort: virtual.port,
    }
    return director.explain(flow).server?.address
  })
}

/** Shares of all flows: those that had to move, and bystanders that moved. */
function compare(before: readonly ServerOptions[], after: readonly ServerOptions[]) {
  const usable = new Set(after.filter(({ weight = 1 }) => weight > 0).map(({ address }) => address))
  const known = new Set(before.map(({ address }) => address))
  const now = places(after)
  const moves = places(before).flatMap((from, index) => {
    const to = now[index]
    return from === undefined || from === to ? [] : [{ from, to }]
  })
  const needed = moves.filter(({ from, to }) => !usable.has(from) || (to !== undefined && !known.has(to)))
  return { needed: needed.length / SAMPLES, bystanders: (moves.length - needed.length) / SAMPLES }
}

const addresses = ['10.0.0.11', '10.0.0.12', '10.0.0.13', '10.0.0.14']
const weighted = (weight: number): ServerOptions[] => addresses.map((address) => ({ address, weight }))
const paused = (servers: ServerOptions[]): ServerOptions[] =>
  servers.map((server, index) => (index === 1 ? { ...server, weight: 0 } : server))

const changes = {
  'pause one of four servers of weight 1': compare(weighted(1), paused(weighted(1))),
  'pause one of four servers of weight 2': compare(weighted(2), paused(weighted(2))),
  'add a fifth server': compare(weighted(1), [...weighted(1), { address: '10.0.0.15' }]),
  'the same servers, added in another order': compare(weighted(1), weighted(1).toReversed()),
}

const percent = (share: number): string => `${(share * 100).toFixed(1).padStart(5)} %`
for (const [title, { needed, bystanders }] of Object.entries(changes)) {
  console.log(`${title.padEnd(42)} had to move ${percent(needed)}   bystanders moved ${percent(bystanders)}`)
}

// The change that is to be rolled out.
const { bystanders } = changes['pause one of four servers of weight 1']
process.exitCode = bystanders > BYSTANDERS_ALLOWED ? 1 : 0
