import test from 'ava'

import { clientAddress, serverAddress, virtualAddress, type Family } from '../lab/addresses.ts'
import { hostInterface, outsideInterface, type Lab } from '../lab/topology.ts'
import { ended, Stage } from './stage.ts'

const small = 1300
const bytes = 400_000

/** Gives the director's way to every server a small MTU. */
async function limitServers(lab: Lab, family: Family): Promise<void> {
  const addresses = lab.servers.map((_, index) => serverAddress(index + 1, family))
  const routes = addresses.map((address) => `route replace ${address} dev ${hostInterface} mtu ${small}`)
  await lab.director(1).ip(...routes)
}

/** A download on one connection; resolves with the number of the server that gave it. */
async function download(stage: Stage, family: Family): Promise<number> {
  const options = { bytes, direction: 'download', verify: true, source: clientAddress(1, family) }
  const { exit, summary } = await ended(stage.client('bulk-client', options, family))
  stage.t.is(exit.status, 0, JSON.stringify(summary))
  const [name = ''] = Object.keys(summary['servers'] as object)
  return Number(name.replace('server', ''))
}

for (const family of ['ipv4', 'ipv6'] as const) {
  test(`${family}: "too big" from the clients' side reaches the server that sent the packet`, async (t) => {
    const stage = await Stage.open(t, { directors: 1 }, { families: [family] })
    await stage.serve('bulk-server', [family])
    await stage.lab.router.limitOutside(small, outsideInterface)
    const chosen = await download(stage, family)
    const to = clientAddress(1, family)
    for (const index of [1, 2, 3]) {
      const mtu = await stage.lab.server(index).pathMtu(to, virtualAddress[family])
      t.is(mtu, index === chosen ? small : undefined, `server ${index}; server ${chosen} sent`)
    }
  })

  test(`${family}: a packet too big for the way to the server is answered with "too big"`, async (t) => {
    const limit = (lab: Lab): Promise<void> => limitServers(lab, family)
    const stage = await Stage.open(t, { directors: 1 }, { families: [family] }, limit)
    await stage.serve('bulk-server', [family])
    const options = { bytes, direction: 'upload', verify: true, source: clientAddress(1, family) }
    const { exit, summary } = await ended(stage.client('bulk-client', options, family))
    t.is(exit.status, 0, JSON.stringify(summary))
    t.is(await stage.lab.clients.pathMtu(virtualAddress[family], clientAddress(1, family)), small)
  })
}

test('a route that changes while the director runs is followed', async (t) => {
  const stage = await Stage.open(t, { directors: 1 })
  await stage.serve('bulk-server')
  await limitServers(stage.lab, 'ipv4')
  // Each connection is one more look at whether the director has noticed.
  for (let attempt = 1; attempt <= 50; attempt++) {
    const options = { bytes, direction: 'upload', source: clientAddress(1) }
    await ended(stage.client('bulk-client', options))
    const mtu = await stage.lab.clients.pathMtu(virtualAddress.ipv4, clientAddress(1))
    if (mtu === small) return t.pass()
  }
  return t.fail('no upload was answered with "too big"')
})
