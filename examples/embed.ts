import { Director } from 'l4-director'

await using director = await Director.start({
  interfaces: ['eth0'],
  sloppy: { tcp: true, sctp: true },
})
director.on('error', (error) => console.error(error.code, error.message))
director.on('adopted', ({ cause, count }) => console.log(`${count} connections adopted (${cause})`))

const key = { protocol: 'tcp', address: '192.0.2.80', port: 80 } as const
const web = director.addService({ ...key, scheduler: 'sh', flags: ['sh-port', 'sh-fallback'] })
const first = web.addServer({ address: '10.0.0.11' })
web.addServer({ address: '10.0.0.12' })

process.on('SIGUSR1', () => first.pause()) // its connections go on, new ones go elsewhere
process.on('SIGUSR2', () => first.resume())
for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.on(signal, () => void director.close())
for await (const { forwarded, connections } of director.statistics({ intervalMs: 5000 })) {
  console.log(`${forwarded} frames forwarded, ${connections} connections`)
}
