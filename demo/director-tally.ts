import type { Statistics } from 'l4-director'

import { serverAddress } from '../test/lab/addresses.ts'
import type { Message } from '../test/lab/lab-process.ts'

/** What one director does with one real server. */
export interface Cell {
  /** Connections in its table, active ones. */
  active: number
  /** Packets it sends the server, a second. */
  packetsPerSecond: number
  /** Packets it ever sent the server, in this life of the director. */
  packets: number
}

export type DirectorState = 'starting' | 'forwarding' | 'killed'

// The weight of the newest rate in the shown one: enough to follow a change within half a second.
const smoothing = 0.3

/** One director as the demo sees it, over all its lives. */
export class DirectorTally {
  readonly index: number
  state: DirectorState = 'starting'
  /** Index 0 is real server 1. */
  cells: Cell[]
  readonly #servers: number
  #adoptedBefore = 0
  #adopted = 0
  #forwardedBefore = 0
  #forwarded = 0
  #at: number | undefined

  constructor(index: number, servers: number) {
    this.index = index
    this.#servers = servers
    this.cells = emptyCells(servers)
  }

  /** Connections adopted mid-stream, over all its lives. */
  get adopted(): number {
    return this.#adoptedBefore + this.#adopted
  }

  /** Frames forwarded, over all its lives. */
  get forwarded(): number {
    return this.#forwardedBefore + this.#forwarded
  }

  /** Its process is gone, and with it its table. */
  died(): void {
    this.state = 'killed'
    this.#adoptedBefore = this.adopted
    this.#forwardedBefore = this.forwarded
    this.#adopted = 0
    this.#forwarded = 0
    this.#at = undefined
    this.cells = emptyCells(this.#servers)
  }

  /** Takes a message of the director's program in. */
  observe(message: Message): void {
    if (message.event === 'statistics') this.#count(message['statistics'] as Statistics)
  }

  #count(statistics: Statistics): void {
    const now = performance.now()
    const seconds = this.#at === undefined ? 0 : (now - this.#at) / 1000
    this.#at = now
    this.state = 'forwarding'
    this.#forwarded = statistics.forwarded
    const causes = statistics.services.flatMap((service) => service.adopted)
    this.#adopted = causes.reduce((total, cause) => total + cause.count, 0)
    for (const [index, cell] of this.cells.entries()) {
      recount(cell, statistics, serverAddress(index + 1), seconds)
    }
  }
}

function recount(cell: Cell, statistics: Statistics, address: string, seconds: number): void {
  const found = statistics.services
    .flatMap((service) => service.servers)
    .filter((server) => server.address === address)
  const packets = found.reduce((total, server) => total + server.traffic.inPackets, 0)
  cell.active = found.reduce((total, server) => total + server.activeConnections, 0)
  if (seconds > 0) {
    const rate = Math.max(0, packets - cell.packets) / seconds
    cell.packetsPerSecond += smoothing * (rate - cell.packetsPerSecond)
  }
  cell.packets = packets
}

function emptyCells(servers: number): Cell[] {
  return Array.from({ length: servers }, () => ({ active: 0, packetsPerSecond: 0, packets: 0 }))
}
