import { setTimeout } from 'node:timers/promises'

import test, { type ExecutionContext } from 'ava'

import { directorAddress, routerInside, serverAddress, virtualAddress } from '../lab/addresses.ts'
import { directorOptions } from '../lab/director-options.ts'
import { DirectorProgram, DirectorRefusal } from '../lab/director-program.ts'
import { cable, type Namespace } from '../lab/namespace.ts'
import { insideInterface } from '../lab/router.ts'
import { hostInterface, type Lab } from '../lab/topology.ts'
import { guardFilters } from './guard-filters.ts'
import { ended, Stage } from './stage.ts'

interface Ports {
  readonly ports: readonly { readonly interface: string; readonly index: number; readonly received: number }[]
}

const otherInterface = 'eth1'
const back = `route replace default via ${routerInside.ipv4}`

async function served(t: ExecutionContext, stage: Stage): Promise<void> {
  const { exit, summary } = await ended(stage.client('tcp-short', { count: 20, rate: 200 }))
  t.is(exit.status, 0, JSON.stringify(summary))
  t.is(summary['ok'], 20)
}

/** Plugs an interface of the director into the inside network. */
async function plug(lab: Lab, name: string): Promise<void> {
  const port = name === hostInterface ? 'director1' : `director1-${name}`
  await cable([lab.director(1), name], [lab.router.namespace, port])
  await lab.router.namespace.ip(`link set ${port} master ${insideInterface}`)
}

/** The director's first interface once more. */
async function plugAgain(lab: Lab): Promise<void> {
  await plug(lab, hostInterface)
  await lab.director(1).ip(`addr add ${directorAddress(1)}/24 dev ${hostInterface}`, back)
  await lab.router.namespace.run('ip', 'neigh', 'flush', 'dev', insideInterface)
}

async function device(host: Namespace, name: string): Promise<{ ifindex: number; address: string }> {
  const [link] = await host.query('link', 'show', 'dev', name)
  return link as { ifindex: number; address: string }
}

async function refusalOf(
  t: ExecutionContext,
  stage: Stage,
  interfaces: string[],
): Promise<string | undefined> {
  const attempt = DirectorProgram.start(stage.lab, 1, { ...directorOptions({ servers: 1 }), interfaces })
  return (await t.throwsAsync(attempt, { instanceOf: DirectorRefusal }))?.code
}

function told(stage: Stage, name: string): readonly unknown[] {
  return stage.happenings.filter((happening) => happening.name === name).map(({ details }) => details)
}

test('a renamed interface is served on, and no second director can take it by its new name', async (t) => {
  const stage = await Stage.open(t, { directors: 1, servers: 1 })
  await stage.serve('tcp-server')
  await stage.lab
    .director(1)
    .ip(`link set ${hostInterface} down`, `link set ${hostInterface} name lan0`, 'link set lan0 up', back)
  t.is(await refusalOf(t, stage, ['lan0']), 'ERR_DIRECTOR_SERVICE_IN_USE')
  await served(t, stage)
  const { ports } = (await stage.cluster.director(1).call('snapshot')) as Ports
  t.true(
    ports.some((port) => port.interface === hostInterface && port.received > 0),
    JSON.stringify(ports),
  )
  t.deepEqual(told(stage, 'error'), [])
})

test('an interface may be named by an alternative name, and is one whatever it is called', async (t) => {
  const name = 'alternative-name-of-the-inside'
  const stage = await Stage.open(t, { directors: 1, servers: 1 }, { more: { interfaces: [name] } }, (lab) =>
    lab.director(1).ip(`link property add dev ${hostInterface} altname ${name}`),
  )
  await stage.serve('tcp-server')
  await served(t, stage)
  t.is(await refusalOf(t, stage, [hostInterface]), 'ERR_DIRECTOR_SERVICE_IN_USE')
  t.is(await refusalOf(t, stage, [hostInterface, name]), 'ERR_DIRECTOR_INVALID_OPTIONS')
  const { ports } = (await stage.cluster.director(1).call('snapshot')) as Ports
  t.true(
    ports.some((port) => port.interface === name && port.received > 0),
    JSON.stringify(ports),
  )
  t.deepEqual(stage.happenings, [])
})

test('interfaces that swap their names are both served', async (t) => {
  const interfaces = [hostInterface, otherInterface]
  const stage = await Stage.open(t, { directors: 1, servers: 1 }, { more: { interfaces } }, (lab) =>
    plug(lab, otherInterface),
  )
  await stage.serve('tcp-server')
  const host = stage.lab.director(1)
  await host.sysctl({ 'net.ipv4.conf.all.arp_ignore': 1 })
  const [first, second] = [await device(host, hostInterface), await device(host, otherInterface)]
  await host.ip(
    `link set ${hostInterface} down`,
    `link set ${otherInterface} down`,
    `link set ${hostInterface} name other0`,
    `link set ${otherInterface} name ${hostInterface}`,
    `link set other0 name ${otherInterface}`,
    `link set ${hostInterface} up`,
    `link set ${otherInterface} up`,
    back,
  )
  const router = stage.lab.router.namespace
  for (const { address } of [first, second]) {
    await router.ip(
      `neigh replace ${directorAddress(1)} lladdr ${address} dev ${insideInterface} nud permanent`,
    )
    await served(t, stage)
  }
  const { ports } = (await stage.cluster.director(1).call('snapshot')) as Ports
  const named = (index: number): string | undefined => ports.find((port) => port.index === index)?.interface
  t.deepEqual([named(first.ifindex), named(second.ifindex)], [otherInterface, hostInterface])
  t.true((await guardFilters(host)).length > 0)
  t.deepEqual(told(stage, 'error'), [])
})

for (const workers of [1, 2]) {
  test(`an interface that was moved away and back is served again by ${workers} workers`, async (t) => {
    const stage = await Stage.open(t, { directors: 1, servers: 1 }, { more: { workers } })
    await stage.serve('tcp-server')
    await served(t, stage)
    const host = stage.lab.director(1)
    const before = await device(host, hostInterface)
    await host.run('sh', '-ec', movedAndBack)
    t.is((await device(host, hostInterface)).ifindex, before.ifindex, 'or nothing is tested')
    await host.ip(
      `link set ${hostInterface} up`,
      `addr add ${directorAddress(1)}/24 dev ${hostInterface}`,
      back,
    )
    // As quick as this it may be told of or not; that it is guarded shows that it is served.
    while ((await guardFilters(host)).length === 0) await setTimeout(20)
    await served(t, stage)
    t.deepEqual(told(stage, 'error'), [])
  })
}

const movedAndBack = `
  unshare --net sleep 60 & other=$!
  until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do :; done
  ip link set ${hostInterface} netns $other
  nsenter --net=/proc/$other/ns/net ip link set ${hostInterface} netns $$
  kill $other`

test('who asks for a virtual address hears of a new hardware address', async (t) => {
  const stage = await Stage.open(t, { directors: 1, servers: 1 }, { more: { answerNeighbours: true } })
  await stage.serve('tcp-server')
  const host = stage.lab.director(1)
  const router = stage.lab.router.namespace
  await host.sysctl({ 'net.ipv4.conf.all.arp_ignore': 1 })
  await router.ip(`route replace ${virtualAddress.ipv4}/32 dev ${insideInterface}`)
  await served(t, stage)
  const address = '02:00:00:00:77:02'
  await host.ip(`link set ${hostInterface} address ${address}`)
  await router.run('ip', 'neigh', 'flush', 'dev', insideInterface)
  await served(t, stage)
  const [neighbour] = await router.query('neigh', 'show', virtualAddress.ipv4, 'dev', insideInterface)
  t.like(neighbour, { lladdr: address })
})

test('an interface without Ethernet frames is told once, and the next with Ethernet is used', async (t) => {
  const stage = await Stage.open(t, { directors: 1, servers: 1 })
  await stage.serve('tcp-server')
  const host = stage.lab.director(1)
  const unsuitable = stage.happened('interfaceDown', ({ details }) => details['reason'] === 'not-ethernet')
  await host.ip(`link del ${hostInterface}`)
  await host.ip(`tuntap add ${hostInterface} mode tun`, `link set ${hostInterface} up`)
  await unsuitable
  await host.ip(`link del ${hostInterface}`)
  const up = stage.happened('interfaceUp')
  await plugAgain(stage.lab)
  await up
  await served(t, stage)
  t.is(told(stage, 'interfaceUp').length, 1)
  t.deepEqual(told(stage, 'error'), [])
})

test('an interface that is away is no guard that another program removed', async (t) => {
  const more = { interfaces: [hostInterface, otherInterface], fastPath: false }
  const stage = await Stage.open(t, { directors: 1, servers: 1 }, { more }, (lab) =>
    plug(lab, otherInterface),
  )
  await stage.serve('tcp-server')
  const host = stage.lab.director(1)
  const down = stage.happened('interfaceDown')
  await host.ip(`link del ${hostInterface}`)
  t.is((await down).details['interface'], hostInterface)
  // That the guards are looked after meanwhile shows at the interface that is there.
  for (let time = 1; time <= 2; time++) {
    const removed = stage.happened('error')
    await host.run('tc', 'qdisc', 'del', 'dev', otherInterface, 'clsact')
    const { details } = await removed
    t.regex(String(details['message']), /guard on eth1; it was put back/)
  }
  const up = stage.happened('interfaceUp')
  await plugAgain(stage.lab)
  await up
  await served(t, stage)
  t.is(told(stage, 'error').length, 2)
  t.is(told(stage, 'interfaceDown').length, 1)
})

interface Hops {
  readonly hops: readonly { readonly address: string; readonly state: string }[]
}

test('a rule that changes the way to a server is followed', async (t) => {
  const stage = await Stage.open(t, { directors: 1, servers: 1 })
  const { process } = stage.cluster.director(1)
  const becomes = (wanted: string): Promise<unknown> =>
    process.waitFor(`the way to be ${wanted}`, ({ event, statistics }) => {
      if (event !== 'statistics') return false
      return (statistics as Hops).hops.some(({ state }) => state === wanted)
    })
  await becomes('ready')
  const rule = `to ${serverAddress(1)} unreachable pref 10`
  const unreachable = becomes('unreachable')
  await stage.lab.director(1).ip(`rule add ${rule}`)
  await unreachable
  const ready = becomes('ready')
  await stage.lab.director(1).ip(`rule del ${rule}`)
  await ready
  t.pass()
})
