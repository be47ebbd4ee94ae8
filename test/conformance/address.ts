import { isIPv4 } from 'node:net'

/** The octets of an IPv4 or IPv6 address. */
export function addressOctets(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail] = address.split('::')
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
  const left = groups(head)
  const right = tail === undefined ? [] : groups(tail)
  const zeros = Array<number>(8 - left.length - right.length).fill(0)
  const octets = Buffer.alloc(16)
  ;[...left, ...zeros, ...right].forEach((group, at) => octets.writeUInt16BE(group, at * 2))
  return octets
}

/** The text of an address's octets. */
export function addressText(octets: Buffer): string {
  if (octets.length === 4) return [...octets].join('.')
  return (octets.toString('hex').match(/..../g) ?? []).join(':')
}

/** One spelling of an address, so that texts can be compared. */
export function canonical(address: string): string {
  return addressOctets(address).toString('hex')
}
