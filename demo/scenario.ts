import { serverAddress } from '../test/lab/addresses.ts'
import type { Journal } from './journal.ts'
import { Timeline } from './timeline.ts'
import { size, type World } from './world.ts'

const titles = {
  traffic: 'traffic',
  kill: 'kill -9 director 1',
  revive: 'bring it back',
  pause: 'pause server 2',
  drain: 'drain it',
  resume: 'resume it',
  end: 'end',
} as const

const pausedServer = 2
const killedDirector = 1

/** The steps of the demo, over `seconds`. */
export function demoTimeline(seconds: number): Timeline {
  return new Timeline(seconds, [
    [0, titles.traffic],
    [0.17, titles.kill],
    [0.4, titles.revive],
    [0.58, titles.pause],
    [0.7, titles.drain],
    [0.83, titles.resume],
    [1, titles.end],
  ])
}

/** Plays the steps. */
export async function play(world: World, timeline: Timeline, journal: Journal): Promise<void> {
  timeline.start()
  await timeline.reach(titles.traffic)
  await world.startClients()
  journal.add(
    `${size.connections} TCP connections and ${size.associations} SCTP associations are up; ` +
      `${size.shortPerSecond} short connections a second come and go`,
    'step',
  )
  await timeline.reach(titles.kill)
  await killDirector(world, journal)
  await timeline.reach(titles.revive)
  await reviveDirector(world, journal)
  await timeline.reach(titles.pause)
  await pauseServer(world, journal)
  await timeline.reach(titles.drain)
  await drainServer(world, journal)
  await timeline.reach(titles.resume)
  await resumeServer(world, journal)
  await timeline.reach(titles.end)
  await world.finish()
  journal.add('clients and servers have closed what was open', 'step')
  timeline.finish()
}

async function killDirector(world: World, journal: Journal): Promise<void> {
  await world.cluster.kill(killedDirector)
  world.director(killedDirector).died()
  journal.add(`director ${killedDirector} killed with SIGKILL: its connection table is lost`, 'step')
  await world.cluster.withdrawn(killedDirector)
  journal.add(
    `the router no longer uses director ${killedDirector} (the demo saw the process end and stands in for BFD)`,
  )
}

async function reviveDirector(world: World, journal: Journal): Promise<void> {
  world.director(killedDirector).state = 'starting'
  await world.cluster.start(killedDirector)
  journal.add(`director ${killedDirector} is back with an empty table; the router uses both again`, 'step')
}

async function pauseServer(world: World, journal: Journal): Promise<void> {
  await world.cluster.callAll('pause', { server: serverAddress(pausedServer) })
  world.paused.add(pausedServer)
  journal.add(
    `server ${pausedServer} paused on every director: its connections go on, new ones go elsewhere`,
    'step',
  )
}

async function drainServer(world: World, journal: Journal): Promise<void> {
  const drained = world.cluster.callAll('drained', { server: serverAddress(pausedServer), protocol: 'tcp' })
  world.closeOn(pausedServer)
  journal.add(`clients close what they have on server ${pausedServer}`, 'step')
  await drained
  journal.add(`drained() resolved on every director: server ${pausedServer} has no TCP connection left`)
}

async function resumeServer(world: World, journal: Journal): Promise<void> {
  await world.cluster.callAll('resume', { server: serverAddress(pausedServer) })
  world.paused.delete(pausedServer)
  journal.add(`server ${pausedServer} resumed: new connections go there again`, 'step')
}
