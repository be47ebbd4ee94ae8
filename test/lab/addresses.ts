// Who has which address in the lab. Directors and servers are numbered from 1.

/** An address family of the lab. */
export type Family = 'ipv4' | 'ipv6'

/** The virtual address, which the directors and every real server carry on their loopback. */
export const virtualAddress = { ipv4: '198.51.100.80', ipv6: '2001:db8:80::80' } as const

/** A second virtual address, for services of their own beside the first. */
export const otherVirtualAddress = { ipv4: '198.51.100.81', ipv6: '2001:db8:80::81' } as const

export const virtualAddresses = [virtualAddress, otherVirtualAddress] as const

/** The router's address towards the clients. */
export const routerOutside = { ipv4: '10.81.0.1', ipv6: 'fd81::1' } as const

/** The router's address towards directors and servers. */
export const routerInside = { ipv4: '10.82.0.1', ipv6: 'fd82::1' } as const

/** Networks: clients in front of the router, directors and servers behind it. */
export const networks = {
  outside: { ipv4: '10.81.0.0/24', ipv6: 'fd81::/64' },
  inside: { ipv4: '10.82.0.0/24', ipv6: 'fd82::/64' },
} as const

/** Source address `index` (from 1, at most 200) of the clients. */
export function clientAddress(index: number, family: Family = 'ipv4'): string {
  return family === 'ipv4' ? `10.81.0.${10 + index}` : `fd81::c:${index.toString(16)}`
}

/** Own address of director `index`. */
export function directorAddress(index: number, family: Family = 'ipv4'): string {
  return family === 'ipv4' ? `10.82.0.${20 + index}` : `fd82::d:${index.toString(16)}`
}

/** Own address of real server `index`. */
export function serverAddress(index: number, family: Family = 'ipv4'): string {
  return family === 'ipv4' ? `10.82.0.${100 + index}` : `fd82::5:${index.toString(16)}`
}

/** The length of a prefix that holds one host. */
export function hostPrefix(family: Family): string {
  return family === 'ipv4' ? '32' : '128'
}

/** A range of client addresses, `first` to `last`, as a list. */
export function clientAddresses(count: number, family: Family = 'ipv4'): string[] {
  return Array.from({ length: count }, (_, index) => clientAddress(index + 1, family))
}
