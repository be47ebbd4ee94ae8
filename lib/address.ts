import { isIPv6, SocketAddress } from 'node:net'
import type { ForwardingMethod, ServerKey, ServiceKey } from './command.js'
import type { ServerConfiguration } from './snapshot.js'

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
 * The port that a real server is spoken to. IPVS: direct routing and tunnels leave ports alone, so
 * whatever was asked for, it is the service's; a range and a mark have none. Masquerading maps ports.
 */
function serverPort(service: ServiceKey, forwarding: ForwardingMethod | undefined, asked?: number): number {
  if (!('port' in service)) return asked ?? 0
  return forwarding === 'masquerading' ? (asked ?? service.port) : service.port
}

/** A real server's identity within its service as text: its address and the port it is spoken to. */
export function serverText(
  service: ServiceKey,
  { address, port, forwarding }: ServerKey & { readonly forwarding?: ForwardingMethod },
): string {
  return joinPort(address, serverPort(service, forwarding, port))
}

/** Whether a configured server is the one that a command or a caller means. */
export function isMeant(service: ServiceKey, key: ServerKey, server: ServerConfiguration): boolean {
  return (
    server.port === serverPort(service, server.forwarding, key.port) &&
    canonicalAddress(server.address) === canonicalAddress(key.address)
  )
}

/**
 * Forgets what is kept under the name of the server that a command means: a masqueraded one has the
 * port that was asked for, any other the service's.
 */
export function forget(kept: Map<string, unknown> | undefined, service: ServiceKey, server: ServerKey): void {
  const isMapped = server.port !== undefined && kept?.delete(joinPort(server.address, server.port))
  if (!isMapped) kept?.delete(serverText(service, server))
}

/** `192.0.2.1:80`, `[2001:db8::1]:80`. */
export function joinPort(address: string, port: number): string {
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
