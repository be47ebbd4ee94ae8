import { isIPv6, SocketAddress } from 'node:net'
import type { ServerKey, ServiceKey } from './command.js'

/** One spelling for each address, so that addresses can be compared as text. */
export function canonicalAddress(address: string): string {
  return new SocketAddress({ address, family: isIPv6(address) ? 'ipv6' : 'ipv4', port: 0 }).address
}

/** A service's identity as text: equal for equal identities. */
export function serviceText(key: ServiceKey): string {
  if ('mark' in key) return `mark ${key.mark} ${key.family}`
  if ('ports' in key) {
    const length = wholeLength(key.address) === key.prefixLength ? undefined : key.prefixLength
    const network = length === undefined ? '' : `/${length}`
    return `${key.protocol} ${canonicalAddress(key.address)}${network} ports ${key.ports[0]}-${key.ports[1]}`
  }
  return `${key.protocol} ${joinPort(key.address, key.port)}`
}

function wholeLength(address: string): number {
  return isIPv6(address) ? 128 : 32
}

/**
 * A real server's identity within its service as text. IPVS: direct routing leaves ports alone, so
 * whatever port was asked for, the server is spoken to at the service's; a mark has none.
 */
export function serverText(service: ServiceKey, server: ServerKey): string {
  return joinPort(server.address, 'port' in service ? service.port : (server.port ?? 0))
}

/** `192.0.2.1:80`, `[2001:db8::1]:80`. */
function joinPort(address: string, port: number): string {
  const canonical = canonicalAddress(address)
  return isIPv6(canonical) ? `[${canonical}]:${port}` : `${canonical}:${port}`
}

/** The address and port of `192.0.2.1:80` or `[2001:db8::1]:80`. */
export function splitPort(text: string): { address: string; port: number } {
  const colon = text.lastIndexOf(':')
  return { address: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) }
}

/** Only the fields that identify a service. */
export function identityOf(service: ServiceKey): ServiceKey {
  if ('mark' in service) return { mark: service.mark, family: service.family }
  const { protocol, address } = service
  if (!('ports' in service)) return { protocol, address, port: service.port }
  const { prefixLength, ports } = service
  return { protocol, address, ...(prefixLength !== undefined && { prefixLength }), ports }
}
