// The demo: a killed director, a returned director, a paused server, and no connection breaks.

import type { WriteStream } from 'node:tty'

import { LabUnavailableError } from '../test/lab/holder.ts'
import { peersBinary } from '../test/lab/peers.ts'
import { uncoloured } from './ansi.ts'
import { Journal } from './journal.ts'
import { parseOptions, usage, type DemoOptions } from './options.ts'
import { report, resultOf } from './report.ts'
import { demoTimeline, play } from './scenario.ts'
import { Screen } from './screen.ts'
import type { Timeline } from './timeline.ts'
import { entry, View } from './view.ts'
import { World } from './world.ts'

const framesPerSecond = 10

const status = { good: 0, broken: 1, cannotRun: 2, interrupted: 130 } as const

function print(text: string): void {
  process.stdout.write(`${process.stdout.isTTY ? text : uncoloured(text)}\n`)
}

function read(words: string[]): DemoOptions | undefined {
  try {
    return parseOptions(words)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`)
    process.exit(status.cannotRun)
  }
}

/** Redraws the screen until the result is called. */
function animate(screen: Screen, timeline: Timeline, journal: Journal, world: () => World | undefined) {
  const view = new View()
  const draw = (): void => screen.draw(view.lines(world(), timeline, journal, screen.size.rows))
  const timer = setInterval(draw, 1000 / framesPerSecond)
  return (): void => {
    clearInterval(timer)
    screen.close()
  }
}

async function show(options: DemoOptions): Promise<number> {
  const timeline = demoTimeline(options.seconds)
  const journal = new Journal(
    () => timeline.elapsed,
    (added) => options.plain && print(entry(added)),
  )
  let world: World | undefined
  const screen = options.plain ? undefined : new Screen(process.stdout as WriteStream)
  const stop = screen ? animate(screen, timeline, journal, () => world) : (): void => undefined
  try {
    world = await World.create(options, journal)
    await play(world, timeline, journal)
  } finally {
    stop()
    await world?.close()
  }
  if (!options.plain) for (const added of journal.entries) print(entry(added))
  print(`\n${report(world)}`)
  const { broken, refused } = resultOf(world)
  return broken + refused + world.cluster.accidents.length === 0 ? status.good : status.broken
}

async function main(): Promise<number> {
  const options = read(process.argv.slice(2))
  if (options === undefined) {
    print(usage)
    return status.good
  }
  peersBinary()
  return show(options)
}

// Everything in the lab dies with this process, so an interrupt only has to end it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => process.exit(status.interrupted))
}
try {
  process.exitCode = await main()
} catch (error) {
  const known = error instanceof LabUnavailableError
  process.stderr.write(`${known ? error.message : error instanceof Error ? error.stack : String(error)}\n`)
  process.exitCode = status.cannotRun
}
