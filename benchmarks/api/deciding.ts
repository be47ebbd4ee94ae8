// Which server a client goes to: asked of the director, and of packages that pick by hash.

import ConsistentHash from 'consistent-hash'
import HashRing from 'hashring'

import type { Explanation } from '../../lib/index.ts'
import { serverAddresses, virtualAddress, webDirector } from './directors.ts'
import type { Case, Subject } from './subject.ts'

/** Clients take turns, so that no cache of the last one answers. */
const clients = 65_536

function isServer(answer: unknown): boolean {
  return serverAddresses.includes(String(answer))
}

function rivals(): Case[] {
  const ring = new HashRing(serverAddresses)
  const consistent = new ConsistentHash()
  for (const server of serverAddresses) consistent.add(server)
  let number = 0
  const key = (): string => `198.51.100.7:${(number = (number + 1) % clients)}`
  return [
    { name: 'hashring: get', run: () => ring.get(key()), isRight: isServer },
    { name: 'consistent-hash: get', run: () => consistent.get(key()), isRight: isServer },
  ]
}

export const deciding: Subject = {
  title: 'pick one of 10 servers for a client',
  prepare: () => {
    const director = webDirector(1024)
    let clientPort = 0
    const explain = (): unknown => {
      clientPort = (clientPort + 1) % clients
      const client = { clientAddress: '198.51.100.7', clientPort }
      return director.explain({ protocol: 'tcp', ...client, virtualAddress, virtualPort: 80 })
    }
    const isRight = (answer: unknown): boolean => isServer((answer as Explanation).server?.address)
    return [{ name: 'l4-director: explain, with its reasons', run: explain, isRight }, ...rivals()]
  },
}
