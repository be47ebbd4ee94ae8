// What edits of a large table do to the packets: one live director, a client that asks and waits,
// turn by turn without and with somebody who edits.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { ControlClient } from '../lib/index.ts'
import { ipvsadmBinary } from '../test/conformance/command.ts'
import { clientAddresses, virtualAddress } from '../test/lab/addresses.ts'
import { directorOptions } from '../test/lab/director-options.ts'
import type { LabProcess } from '../test/lab/lab-process.ts'
import { socketAddress, startPeer, startServer } from '../test/lab/peers.ts'
import { run } from '../test/lab/run.ts'
import { Lab } from '../test/lab/topology.ts'
import { restoreLines, type LargeService } from './large-table.ts'

const program = fileURLToPath(new URL('../bin/l4-director.js', import.meta.url))
const startMs = 60_000
const editEveryMs = 50
const requests = { connections: 20, intervalMs: 10, payloadBytes: 64 }

/** What one turn saw. */
export interface Turn {
  /** Milliseconds that half, 99 of 100, and all of the requests were answered within. */
  readonly p50: number
  readonly p99: number
  readonly slowest: number
  /** Milliseconds that each edit took. */
  readonly edits: readonly number[]
}

/** A lab with one daemon that has the large table beside the service of the client. */
export class EditedDirector {
  readonly #lab: Lab
  readonly #folder: string
  readonly #services: readonly LargeService[]
  readonly #processes: LabProcess[] = []
  #edited = 0

  private constructor(lab: Lab, services: readonly LargeService[]) {
    this.#lab = lab
    this.#services = services
    this.#folder = mkdtempSync(join(tmpdir(), 'l4-tables-'))
  }

  /** Makes the lab, starts the daemon, and gives it the table. */
  static async start(services: readonly LargeService[]): Promise<EditedDirector> {
    const edited = new EditedDirector(await Lab.create({ directors: 1, servers: 1 }), services)
    try {
      await edited.#start()
      return edited
    } catch (error) {
      await edited.close()
      throw error
    }
  }

  /** Requests for some seconds, with edits going on or without. */
  async turn(seconds: number, isEdited: boolean): Promise<Turn> {
    const connect = socketAddress(virtualAddress.ipv4, 80)
    const options = { connect, source: clientAddresses(8), maxSeconds: seconds, ...requests }
    const client = startPeer(this.#lab.clients, 'tcp-long', options)
    const over = new AbortController()
    const ended = client.exited.finally(() => over.abort())
    await client.message('connected')
    const edits = isEdited ? await this.#edit(over.signal) : []
    const { status } = await ended
    const summary = client.latest('summary')
    if (summary === undefined || status !== 0) {
      throw new Error(`the client ended with ${status}: ${JSON.stringify(summary)} ${client.complaints}`)
    }
    const [p50, p99, slowest] = ['p50Ms', 'p99Ms', 'slowestMs'].map((key) => Number(summary[key]))
    return { p50: p50 ?? Number.NaN, p99: p99 ?? Number.NaN, slowest: slowest ?? Number.NaN, edits }
  }

  /** Takes everything down. */
  async close(): Promise<void> {
    for (const one of this.#processes.toReversed()) await one.kill('SIGTERM')
    await this.#lab.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  get #control(): string {
    return join(this.#folder, 'control.sock')
  }

  async #start(): Promise<void> {
    const config = join(this.#folder, 'director.json')
    const options = { ...directorOptions({ servers: 1 }), drain: { deadlineSeconds: 1 } }
    writeFileSync(config, JSON.stringify({ ...options, control: this.#control }))
    const listen = socketAddress(virtualAddress.ipv4, 80)
    this.#processes.push(await startServer(this.#lab.server(1), 'tcp-server', { listen }, 'server1'))
    const daemon = this.#lab
      .director(1)
      .start('daemon', [process.execPath, program, 'run', '--config', config])
    this.#processes.push(daemon)
    await daemon.message('started', startMs)
    await this.#lab.router.announce(1)
    const command = ['env', `L4_DIRECTOR_CONTROL=${this.#control}`, ipvsadmBinary(), '-R']
    await run(command, restoreLines(this.#services))
  }

  /** Changes the weight of a server of one service after the other, until told to end. */
  async #edit(end: AbortSignal): Promise<number[]> {
    await using client = await ControlClient.connect({ path: this.#control })
    const took: number[] = []
    while (!end.aborted) {
      const { address, port, servers } = this.#services[this.#edited % this.#services.length] as LargeService
      const weight = 2 + (this.#edited % 7)
      const [server = ''] = servers
      const begun = performance.now()
      await client.apply([
        {
          type: 'set-weight',
          service: { protocol: 'tcp', address, port },
          server: { address: server, port },
          weight,
        },
      ])
      took.push(performance.now() - begun)
      this.#edited += 97
      await sleep(Math.max(0, begun + editEveryMs - performance.now()))
    }
    return took
  }
}
