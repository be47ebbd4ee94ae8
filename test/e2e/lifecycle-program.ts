// What a program does with a director in one namespace: a scenario each, named by the first
// argument; its outcome is printed as JSON.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

import { Director, isDirectorError, type DirectorOptions } from 'l4-director'

import { collected, collectingUntil } from '../unit/collector.ts'

const [scenario = '', json = '{}'] = process.argv.slice(2)
const options = JSON.parse(json) as DirectorOptions

async function codeOf(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt
    return 'resolved'
  } catch (error) {
    return isDirectorError(error) ? error.code : String(error)
  }
}

/** Starts a director and closes it at once. */
async function startAgain(): Promise<string> {
  return codeOf(Director.start(options).then((director) => director.close()))
}

const scenarios: Readonly<Record<string, () => Promise<unknown>>> = {
  /** A Worker with a running director is terminated; the same services can be served again. */
  async terminate() {
    const worker = new Worker(
      `const { workerData, parentPort } = require('node:worker_threads')
       import(workerData.package)
         .then(({ Director }) => Director.start(workerData.options))
         .then((director) => parentPort.postMessage(director.services.length))`,
      { eval: true, workerData: { package: import.meta.resolve('l4-director'), options } },
    )
    const [services] = (await once(worker, 'message')) as [number]
    const taken = await codeOf(Director.start(options))
    await worker.terminate()
    return { services, taken, again: await startAgain() }
  },

  /** The signal is aborted while the director starts; nothing of it remains. */
  async abort() {
    const controller = new AbortController()
    const start = Director.start({ ...options, signal: controller.signal })
    controller.abort()
    return { start: await codeOf(start), again: await startAgain() }
  },

  /** Two closings at once, and calls after them. */
  async close() {
    const director = await Director.start(options)
    const closings = [director.close(), director.close()]
    const late = await codeOf(director.snapshot())
    return { same: closings[0] === closings[1], closings: await Promise.all(closings.map(codeOf)), late }
  },

  /** Nothing holds the process but the director; it says when it would end. */
  async unref() {
    const director = await Director.start(options)
    const held = process.getActiveResourcesInfo().includes('Timeout')
    director.unref()
    return { held, stillHeld: process.getActiveResourcesInfo().includes('Timeout') }
  },

  /** A program that keeps nothing of its director but a listener; garbage is collected meanwhile. */
  async forgotten() {
    let tell: (down: { director: Director; name: string }) => void = () => undefined
    const told = new Promise<{ director: Director; name: string }>((resolve) => {
      tell = resolve
    })
    await Director.start(options).then((started) =>
      started.once('interfaceDown', function follower(this: Director, event) {
        tell({ director: this, name: event.interface })
      }),
    )
    await collected(20)
    execFileSync('ip', ['link', 'set', options.interfaces[0] ?? '', 'down'])
    const { director, name } = await collectingUntil(told)
    await director.close()
    return { told: name }
  },

  /** Many directors one after the other leave no threads behind. */
  async rounds() {
    const { readdirSync } = await import('node:fs')
    const threads = (): number => readdirSync('/proc/self/task').length
    await startAgain()
    const before = threads()
    for (let round = 0; round < 5; round += 1) await startAgain()
    return { grown: threads() - before }
  },
}

const outcome = await scenarios[scenario]?.()
process.stdout.write(`${JSON.stringify(outcome)}\n`)
