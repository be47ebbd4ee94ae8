import { Director, type OfflineDirector } from '../../lib/index.ts'
import { addressOctets } from './address.ts'

/** The lab the recordings were made in: cli --d0-- director --d1-- real servers. */
export const interfaces = { client: 1, server: 2 } as const

export const directorMac = {
  client: Buffer.from('020000000d00', 'hex'),
  server: Buffer.from('020000000d01', 'hex'),
} as const
export const clientMac: Buffer = Buffer.from('020000000c01', 'hex')

const serverMtu = 1500
const clientMtu = 9000

/** The director's own address on the servers' side. */
const serverSideAddress = { 4: '10.1.0.1', 6: '2001:db8:1::1' } as const

/** A director with the recorded lab's settings: no limit on ICMP errors, all that IPVS accepts. */
export function labDirector(): OfflineDirector {
  const director = Director.offline({ connections: 1 << 17 })
  director.set({ icmpErrorsPerSecond: 0, strictAddresses: false })
  return director
}

/** Gives a real server the neighbour entry the lab gave it: 02:00:01 or 02:00:06 and its last octets. */
export function addNeighbour(director: OfflineDirector, address: string, mtu: number = serverMtu): void {
  const octets = addressOctets(address)
  const prefix = octets.length === 4 ? '020001' : '020006'
  const destination = prefix + octets.subarray(-3).toString('hex')
  director.setHop(address, {
    interface: interfaces.server,
    mtu,
    source: colons(directorMac.server.toString('hex')),
    destination: colons(destination),
    local: serverSideAddress[octets.length === 4 ? 4 : 6],
  })
}

/** Gives a client the route the lab gave all of them: by way of the router on the client side. */
export function addClient(director: OfflineDirector, address: string): void {
  director.setHop(address, {
    interface: interfaces.client,
    mtu: clientMtu,
    source: colons(directorMac.client.toString('hex')),
    destination: colons(clientMac.toString('hex')),
  })
}

function colons(hex: string): string {
  return (hex.match(/../g) ?? []).join(':')
}
