// Offline directors for the bench, and the frames of their clients.

import { Director, type Command, type OfflineDirector, type ServiceKey } from '../../lib/index.ts'
import { tcpFrame } from '../../test/binding/frames.ts'

export const virtualAddress = '192.0.2.80'
export const webKey = { protocol: 'tcp', address: virtualAddress, port: 80 } as const
export const serverAddresses = Array.from({ length: 10 }, (_, index) => `10.0.0.${11 + index}`)
const portsOfClient = 50_000

/** A director with one `sh` service of ten servers. */
export function webDirector(connections: number): OfflineDirector {
  const director = Director.offline({ connections, seed: 1 })
  director.addService({
    ...webKey,
    scheduler: 'sh',
    flags: ['sh-port', 'sh-fallback'],
    servers: serverAddresses.map((address) => ({ address })),
  })
  return director
}

/** A frame of the client numbered so; all clients differ. */
export function frameOf(number: number, flags: number): Buffer {
  const host = Math.floor(number / portsOfClient)
  const client = `100.64.${host >> 8}.${host & 255}`
  return tcpFrame({ client, clientPort: 10_000 + (number % portsOfClient), virtual: virtualAddress, flags })
}

/** The service numbered so, of many. */
export function keyOf(index: number): ServiceKey {
  return { protocol: 'tcp', address: `198.18.${Math.floor(index / 250)}.${1 + (index % 250)}`, port: 80 }
}

/** The commands that make so many services, with one server each. */
export function manyServices(count: number): Command[] {
  return Array.from({ length: count }, (_, index): Command[] => {
    const service = keyOf(index)
    return [
      { type: 'add-service', service: { ...service, scheduler: 'rr' } },
      { type: 'add-server', service, server: { address: '10.0.0.11' } },
    ]
  }).flat()
}
