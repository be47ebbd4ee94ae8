// Asks a director without a network where flows would go, and why. Needs no privileges.
//
//     npx tsx examples/explain.ts

import { Director, type Flow } from 'l4-director'

const virtual = { protocol: 'tcp', address: '192.0.2.80', port: 80 } as const

const director = Director.offline({
  services: [
    {
      ...virtual,
      scheduler: 'sh',
      flags: ['sh-port', 'sh-fallback'],
      servers: [{ address: '10.0.0.11' }, { address: '10.0.0.12' }, { address: '10.0.0.13' }],
    },
  ],
})

function flow(clientPort: number): Flow {
  return {
    protocol: virtual.protocol,
    clientAddress: '198.51.100.7',
    clientPort,
    virtualAddress: virtual.address,
    virtualPort: virtual.port,
  }
}

function show(title: string): void {
  console.log(`\n${title} (configuration ${director.version.number}, digest ${director.version.digest})`)
  for (const port of [40_000, 40_001, 40_002, 40_003]) {
    console.log(`  from port ${port}: ${director.explain(flow(port)).reason}`)
  }
}

show('all servers take new connections')
director.service(virtual)?.server('10.0.0.12')?.pause()
show('10.0.0.12 is paused')

// Frames can be tried as well as asked about. This one ends in the middle of its IPv4 header.
const frame = new Uint8Array(20)
frame.set([0x08, 0x00, 0x45], 12)
const { verdict, reason } = director.process(frame)
console.log(`\na frame that is cut short: ${verdict}, reason ${reason}`)
