// Changes of a large configuration.

import type { Command, OfflineDirector } from '../../lib/index.ts'
import { keyOf, manyServices, webDirector } from './directors.ts'
import type { Case, Subject } from './subject.ts'

const server = { address: '10.0.0.11' }
const added = { address: '10.0.0.12' }

/** Applies commands; each of them is a configuration of its own. */
function inTurn(director: OfflineDirector, ...commands: Command[]): number {
  for (const command of commands) director.apply([command])
  return commands.length
}

function casesOf(director: OfflineDirector, services: number): Case[] {
  const service = keyOf(services / 2)
  const fresh = keyOf(services)
  let weight = 1
  const edit = (): number => {
    weight = 1 + (weight % 100)
    return inTurn(director, { type: 'set-weight', service, server, weight })
  }
  const withServer = (): number => {
    const add = { type: 'add-server', service, server: added } as const
    return inTurn(director, add, { type: 'remove-server', service, server: added })
  }
  const withService = (): number => {
    const add = { type: 'add-service', service: { ...fresh, scheduler: 'rr' } } as const
    return inTurn(director, add, { type: 'remove-service', service: fresh })
  }
  const serversNow = (): number | undefined => director.snapshot(service).services[0]?.servers.length
  const stays = (): boolean => serversNow() === 1
  return [
    { name: 'set a weight', run: edit, isRight: stays },
    { name: 'add a server and remove it', run: withServer, isRight: stays, items: 2 },
    { name: 'add a service and remove it', run: withService, isRight: stays, items: 2 },
  ]
}

/** Changes beside so many services. */
export function changes(services: number): Subject {
  return {
    title: `change one of ${services.toLocaleString('en')} services`,
    prepare: () => {
      const director = webDirector(1024)
      director.apply(manyServices(services))
      return casesOf(director, services)
    },
  }
}
