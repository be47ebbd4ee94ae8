// What a program does with a director in one namespace: a scenario each, named by the first
// argument; its outcome is printed as JSON.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { Worker } from 'node:worker_threads'

import { Director, isDirectorError, type DirectorError, type DirectorOptions } from 'l4-director'

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

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 20_000
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited 20 s for ${String(condition)}`)
    await setTimeout(20)
  }
}

/** Waits until the ways to so many servers are known, and workers have what they send by. */
async function untilReady(director: Director, servers: number): Promise<void> {
  const states = async (): Promise<unknown> => (await director.snapshot()).hops.map((hop) => hop.state)
  const wanted = Array.from({ length: servers }, () => 'ready')
  await until(async () => isDeepStrictEqual(await states(), wanted))
  // Workers answer in order: by then they have taken what was ready before.
  await director.snapshot()
}

/** Never comes. */
const forever = new Promise<never>(() => undefined)

/** Ends the process, in some way, with a director at work. */
async function end(how: () => void): Promise<never> {
  await Director.start(options)
  how()
  return forever
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
    const threads = (): number => readdirSync('/proc/self/task').length
    await startAgain()
    const before = threads()
    for (let round = 0; round < 5; round += 1) await startAgain()
    return { grown: threads() - before }
  },

  /** Rights given up after the start: what asks for neighbours, what closing says, what removes the rest. */
  async rights() {
    const told: string[] = []
    const director = await Director.start(options)
    director.on('error', (error: DirectorError) => told.push(error.code))
    director.on('recovered', ({ code }) => told.push(`recovered ${code}`))
    await untilReady(director, 1)
    process.seteuid?.(65_534)
    director.services[0]?.addServer({ address: '10.82.0.102' })
    await untilReady(director, 2)
    const { failing } = await director.snapshot()
    const closing = await director.close().catch((error: unknown) => error as DirectorError)
    process.seteuid?.(0)
    const { code, message } = closing as DirectorError
    const command = /by `(tc [^`]*)`/.exec(message)?.[1] ?? ''
    execFileSync('sh', ['-c', command])
    return {
      told,
      failing: failing.map((one) => one.code),
      code,
      names: message.includes(options.interfaces[0] ?? '-'),
    }
  },

  /** Rights given up and got back: told when it is over. */
  async recovery() {
    const told: string[] = []
    const director = await Director.start(options)
    director.on('error', (error: DirectorError) => told.push(error.code))
    director.on('recovered', ({ code }) => told.push(`recovered ${code}`))
    await untilReady(director, 1)
    process.seteuid?.(65_534)
    // Nobody has the address, so that it is asked for again and again.
    director.services[0]?.addServer({ address: '10.82.0.199' })
    await until(() => told.length > 0)
    process.seteuid?.(0)
    await until(() => told.length > 1)
    const { failing } = await director.snapshot()
    await director.close()
    return { told, failing }
  },

  /** Few file descriptors: what start() says of each number that is left. */
  async descriptors() {
    const helper = spawn('sh', { stdio: ['pipe', 'pipe', 'inherit'] })
    const limit = async (files: number): Promise<void> => {
      helper.stdin.write(`prlimit --pid ${process.pid} --nofile=${files}:4096; echo done\n`)
      await once(helper.stdout, 'data')
    }
    await startAgain()
    const open = readdirSync('/proc/self/fd').length
    const refusals = new Set<string>()
    let starts = 0
    for (let left = 0; left < 40; left += 1) {
      await limit(open + left)
      const started = await Director.start(options).catch((error: unknown) => error as DirectorError)
      await limit(4096)
      if (started instanceof Director) {
        starts += 1
        await started.close()
      } else
        refusals.add(`${started.code} ${/raise its limit/.exec(started.message)?.[0] ?? started.message}`)
    }
    helper.stdin.end()
    return {
      refusals: [...refusals],
      grown: readdirSync('/proc/self/fd').length > open,
      started: starts > 10,
    }
  },

  /** The process ends by itself while a director runs, starts or closes; nobody waits for `close()`. */
  exit: () => end(() => process.exit(0)),
  throw: () =>
    end(() => {
      setImmediate(() => {
        throw new Error('as told')
      })
    }),
  reject: () =>
    end(() => {
      void Promise.reject(new Error('as told'))
    }),
  async exitWhileStarting() {
    void Director.start(options)
    process.exit(0)
  },
  async exitSoonWhileStarting() {
    void Director.start(options)
    await setTimeout(5)
    process.exit(0)
  },
  async exitWhileClosing() {
    const director = await Director.start(options)
    void director.close()
    process.exit(0)
  },
  async exitInWorker() {
    const worker = new Worker(
      `const { workerData } = require('node:worker_threads')
       import(workerData.package)
         .then(({ Director }) => Director.start(workerData.options))
         .then(() => process.exit(3))`,
      { eval: true, workerData: { package: import.meta.resolve('l4-director'), options } },
    )
    const [status] = (await once(worker, 'exit')) as [number]
    return { status, again: await startAgain() }
  },
  async exitInWorkerWhileStarting() {
    const worker = new Worker(
      `const { workerData } = require('node:worker_threads')
       import(workerData.package).then(({ Director }) => {
         void Director.start(workerData.options)
         process.exit(3)
       })`,
      { eval: true, workerData: { package: import.meta.resolve('l4-director'), options } },
    )
    const [status] = (await once(worker, 'exit')) as [number]
    return { status, again: await startAgain() }
  },
}

const outcome = await scenarios[scenario]?.()
process.stdout.write(`${JSON.stringify(outcome)}\n`)
