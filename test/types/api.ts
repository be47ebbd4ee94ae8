// What the published declarations accept and refuse. Compiled, never run: an error that is expected
// and does not come is an error too.
import { Director, isDirectorError } from 'l4-director'
import type {
  AdoptedEvent,
  DirectorErrorCode,
  LiveStatistics,
  OfflineDirector,
  RealServer,
  ServiceOptions,
  Statistics,
} from 'l4-director'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const sure = <T extends true>(): T | undefined => undefined

export async function embed(): Promise<void> {
  await using director = await Director.start({ interfaces: ['eth0'], sloppy: { tcp: true, sctp: true } })
  const web = director.addService({
    protocol: 'tcp',
    address: '192.0.2.80',
    port: 80,
    scheduler: 'sh',
    flags: ['sh-port', 'sh-fallback'],
  })
  const server = web.addServer({ address: '10.0.0.11', weight: 1, forwarding: 'direct-routing' })
  sure<Equal<typeof server, RealServer>>()
  await server.pause().drained({ signal: AbortSignal.timeout(1000), until: 'all' })
  director.on('adopted', (event) => sure<Equal<typeof event, AdoptedEvent>>())
  director.on('error', ({ code }) => sure<Equal<typeof code, DirectorErrorCode>>())
  director.on('close', (...nothing) => sure<Equal<typeof nothing, []>>())
  for await (const statistics of director.statistics({ intervalMs: 1000 })) {
    sure<Equal<typeof statistics, LiveStatistics>>()
  }
  // @ts-expect-error a server may not be there
  web.server('10.0.0.11').pause()
  // @ts-expect-error there is no such event
  director.on('adopt', () => undefined)
  // @ts-expect-error directors are started, not made
  void new Director({ interfaces: ['eth0'] })
}

export function offline(): void {
  const director = Director.offline({ connections: 4096, seed: 7 })
  sure<Equal<typeof director, OfflineDirector>>()
  const statistics = director.snapshot()
  sure<Equal<typeof statistics, Statistics>>()
  const result = director.process(new Uint8Array(60), { vlan: 5 })
  sure<
    Equal<(typeof result)['verdict'], 'forward' | 'return' | 'route' | 'hold' | 'reply' | 'pass' | 'drop'>
  >()
  // @ts-expect-error a text is no frame
  director.process('frame')
  // @ts-expect-error snapshots are for reading
  statistics.forwarded = 1
}

export function options(): readonly ServiceOptions[] {
  const key = { protocol: 'tcp', address: '192.0.2.80', port: 80 } as const
  return [
    { ...key, scheduler: 'sh', flags: ['sh-port'] },
    { ...key, scheduler: 'rr' },
    { mark: 7, family: 'ipv4', scheduler: 'sh' },
    { ...key, scheduler: 'mh', flags: ['mh-port', 'mh-fallback'] },
    { ...key, scheduler: 'lblcr' },
    // @ts-expect-error rr has no flags
    { ...key, scheduler: 'rr', flags: ['sh-port'] },
    // @ts-expect-error flags of another scheduler
    { ...key, scheduler: 'mh', flags: ['sh-port'] },
    // @ts-expect-error no such scheduler
    { ...key, scheduler: 'leastconn' },
    // @ts-expect-error a service has a port
    { protocol: 'tcp', address: '192.0.2.80', scheduler: 'sh' },
    // @ts-expect-error no such protocol
    { ...key, protocol: 'icmp', scheduler: 'sh' },
    // @ts-expect-error undefined is not absent
    { ...key, scheduler: 'sh', sloppy: undefined },
  ]
}

export async function failures(): Promise<DirectorErrorCode | undefined> {
  try {
    // @ts-expect-error a director needs interfaces
    await Director.start({})
  } catch (error) {
    if (isDirectorError(error)) return error.issues[0]?.code ?? error.code
  }
  return undefined
}
