import test from 'ava'
import { Director } from '../../lib/index.ts'
import type { VirtualService } from '../../lib/index.ts'
import { webKey } from './web.ts'

/** A service with two servers at one address, told apart by their ports, and one by direct routing. */
function mapped(): VirtualService {
  const director = Director.offline({ connections: 1024 })
  const masquerading = { address: '10.0.0.11', forwarding: 'masquerading' } as const
  const servers = [{ ...masquerading, port: 8080 }, { ...masquerading, port: 8081 }, { address: '10.0.0.12' }]
  return director.addService({ ...webKey, scheduler: 'wrr', servers })
}

test('masqueraded servers at one address are told apart by their ports', (t) => {
  const web = mapped()
  t.deepEqual(
    web.servers.map(({ name }) => name),
    ['10.0.0.12:80', '10.0.0.11:8081', '10.0.0.11:8080'],
  )
  t.is(web.server('10.0.0.11', 8081)?.name, '10.0.0.11:8081')
  t.is(web.server('10.0.0.11', 8082), undefined)
  t.is(web.server('10.0.0.11'), undefined)
  t.is(web.server('10.0.0.12', 8080)?.name, '10.0.0.12:80')
})

test('each is paused, resumed, edited and removed on its own', async (t) => {
  const web = mapped()
  const [, second, first] = web.servers
  web.server('10.0.0.11', 8080)?.setWeight(5).pause()
  t.deepEqual([first?.paused, first?.weight, second?.paused, second?.weight], [true, 0, false, 1])
  second?.setWeight(2)
  first?.resume()
  t.is(first?.weight, 5)
  await second?.drained({ until: 'all' })
  second?.remove()
  t.deepEqual(
    web.servers.map(({ name, weight }) => [name, weight]),
    [
      ['10.0.0.12:80', 1],
      ['10.0.0.11:8080', 5],
    ],
  )
  t.throws(() => second?.weight, { code: 'ERR_DIRECTOR_SERVER_NOT_FOUND' })
  t.is(web.addServer({ address: '10.0.0.13', port: 8080, forwarding: 'masquerading', weight: 3 }).weight, 3)
})

test('a quiesced one is told by its own name', (t) => {
  const director = Director.offline({ connections: 1024 })
  const servers = [8080, 8081].map((port) => ({
    address: '10.0.0.11',
    port,
    forwarding: 'masquerading' as const,
  }))
  const web = director.addService({ ...webKey, scheduler: 'rr', servers })
  const told: string[] = []
  director.on('serverQuiesced', ({ server }) => told.push(server))
  web.server('10.0.0.11', 8081)?.pause()
  t.deepEqual(told, ['10.0.0.11:8081'])
})
