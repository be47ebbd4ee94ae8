import type { CoreDirector, CoreStartOptions } from './binding/core.js'
import { unwrap } from './binding/outcome.js'
import { textOf } from './binding/text.js'
import type { Command } from './command.js'
import { abortedError, DirectorError } from './errors.js'
import { nativeAddon } from './native.js'
import { initialBatch } from './options/start.js'
import type { DirectorOptions, Logger } from './options/start.js'

/** A director that can be told that events wait. */
interface Started {
  takeEvents(): void
}

/** Starts the core; an abort meanwhile closes what was started before it is told. */
export async function startDirector<T extends Started>(
  options: DirectorOptions,
  make: (core: CoreDirector, logger: Logger | undefined) => T,
): Promise<T> {
  const { signal, logger } = options
  if (signal?.aborted) throw abortedError('Director.start()', signal)
  if (process.platform !== 'linux') throw unsupported()
  const { commands, paths } = initialBatch(options)
  const made: { director?: T } = {}
  const { BindingDirector } = nativeAddon()
  const core = new BindingDirector()
  const wake = (): void => made.director?.takeEvents()
  unwrap(await core.start(textOf(coreOptions(options, commands)), wake), paths)
  if (signal?.aborted) {
    unwrap(await core.close())
    throw abortedError('Director.start()', signal)
  }
  logger?.info(`a director runs on ${options.interfaces.join(', ')}`)
  const director = make(core, logger)
  made.director = director
  // What happened before there was anybody to tell; listeners get a turn to be added.
  setImmediate(() => director.takeEvents())
  return director
}

function coreOptions(options: DirectorOptions, services: readonly Command[]): CoreStartOptions {
  const { interfaces, workers, spread, connections, ringFrames, fragmentOctets } = options
  const { answerNeighbours, fastPath, busyPollMicroseconds, bypassQueue, promiscuous } = options
  const optional = {
    workers,
    spread,
    connections,
    ringFrames,
    fragmentOctets,
    answerNeighbours,
    fastPath,
    busyPollMicroseconds,
    bypassQueue,
    promiscuous,
  }
  const given = Object.entries(optional).filter(([, value]) => value !== undefined)
  return { interfaces, services, ...Object.fromEntries(given) }
}

function unsupported(): DirectorError {
  const message = `a live director needs Linux, this is ${process.platform}; Director.offline() works everywhere`
  return new DirectorError('ERR_DIRECTOR_UNSUPPORTED_PLATFORM', message)
}
