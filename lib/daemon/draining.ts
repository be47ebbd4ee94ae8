import { pause } from '../abort.js'
import type { Command } from '../command.js'
import type { ConfigurableDirector } from '../configurable.js'
import type { Director } from '../director.js'

const LOOK_MS = 200

/** Quiesces every server: connections go on, new ones are refused. */
export function refuseNew(director: ConfigurableDirector): void {
  const weights = director.services.flatMap((service) =>
    service.servers
      .filter((server) => server.weight > 0)
      .map((server): Command => ({
        type: 'set-weight',
        service: service.key,
        server:
          server.port === 0 ? { address: server.address } : { address: server.address, port: server.port },
        weight: 0,
      })),
  )
  director.apply(weights)
}

/** Waits until no connection is active, or a time is over; answers how many are left. */
export async function drained(director: Director, deadlineMs: number, signal: AbortSignal): Promise<number> {
  const end = performance.now() + deadlineMs
  for (;;) {
    const { services } = await director.snapshot()
    const left = services
      .flatMap(({ servers }) => servers)
      .reduce((sum, server) => sum + server.activeConnections, 0)
    const restMs = end - performance.now()
    if (left === 0 || restMs <= 0 || signal.aborted) return left
    await pause(Math.min(LOOK_MS, restMs), signal)
  }
}
