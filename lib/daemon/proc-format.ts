import { isIPv6 } from 'node:net'
import { splitPort } from '../address.js'
import type { ForwardingMethod } from '../command.js'
import type { ConnectionRow } from '../connection.js'
import type { Rates } from '../counters.js'
import type { ServerSnapshot, ServiceSnapshot, Statistics, Traffic } from '../snapshot.js'

/** IPVS: buckets of the connection table by default; readers skip it. */
const TABLE_SIZE = 4096

const METHODS: Readonly<Record<ForwardingMethod, string>> = {
  'direct-routing': 'Route',
  masquerading: 'Masq',
  tunnelling: 'Tunnel',
}

const TITLE = [
  `IP Virtual Server version 1.2.1 (size=${TABLE_SIZE})`,
  'Prot LocalAddress:Port Scheduler Flags',
  '  -> RemoteAddress:Port Forward Weight ActiveConn InActConn',
]

/** IPVS: the head of `/proc/net/ip_vs_conn`. */
export const CONNECTIONS_TITLE: string =
  'Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n'

/** The text of `/proc/net/ip_vs`. */
export function ipVs({ services }: Pick<Statistics, 'services'>): string {
  const lines = services.flatMap((service) => [serviceLine(service), ...service.servers.map(serverLine)])
  return `${[...TITLE, ...lines].join('\n')}\n`
}

/** The text of `/proc/net/ip_vs_stats`: totals, and averages a second. */
export function ipVsStats({ traffic, rates }: Pick<Statistics, 'traffic' | 'rates'>): string {
  return [
    '   Total Incoming Outgoing         Incoming         Outgoing',
    '   Conns  Packets  Packets            Bytes            Bytes',
    columns(traffic),
    '',
    ' Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s',
    columns(rates),
    '',
  ].join('\n')
}

/** A line of `/proc/net/ip_vs_conn`. */
export function ipVsConnection(row: ConnectionRow): string {
  const protocol = (row.protocol ?? 'IP').toUpperCase().padEnd(3)
  const places = [row.client, row.virtualAddress, row.server].map((text) => {
    const { address, port } = splitPort(text)
    return `${hexAddress(address)} ${hex(port, 4)}`
  })
  const seconds = String(Math.floor(row.expiresInMs / 1000)).padStart(7)
  const { persistenceEngine: engine, persistenceData: data } = row
  const found = engine === null ? '' : ` ${engine} ${data ?? ''}`
  return `${protocol} ${places.join(' ')} ${row.state.padEnd(11)} ${seconds}${found}\n`
}

function serviceLine(service: ServiceSnapshot): string {
  const scheduler = service.scheduler ?? 'none'
  const onePacket = service.onePacket ? 'ops ' : ''
  return `${identity(service)} ${scheduler} ${onePacket}${persistent(service)}`
}

/** A service on a range has no line of its own in IPVS; it stands under its first port. */
function identity(service: ServiceSnapshot): string {
  if ('mark' in service) return `FWM  ${hex(service.mark, 8)}`
  const port = 'ports' in service ? service.ports[0] : service.port
  return `${service.protocol.toUpperCase()}  ${place(service.address, port)}`
}

function persistent(service: ServiceSnapshot): string {
  if (service.persistence === null) return ''
  const isV6 = 'mark' in service ? service.family === 'ipv6' : isIPv6(service.address)
  const { timeoutSeconds, prefixLength } = service.persistence
  const length = prefixLength ?? (isV6 ? 128 : 32)
  // IPVS: a length for IPv6 stands in the octets of a mask, the other way round.
  const mask = isV6 ? length * 2 ** 24 : 2 ** 32 - 2 ** (32 - length)
  return `persistent ${timeoutSeconds} ${hex(mask, 8)}`
}

function serverLine(server: ServerSnapshot): string {
  const { weight, activeConnections, inactiveConnections } = server
  const numbers = [
    String(weight).padEnd(6),
    String(activeConnections).padEnd(10),
    String(inactiveConnections).padEnd(10),
  ]
  const method = METHODS[server.forwarding].padEnd(7)
  return `  -> ${place(server.address, server.port)}      ${method} ${numbers.join(' ')}`
}

function columns(counted: Traffic | Rates): string {
  const { connections, inPackets, outPackets, inOctets, outOctets } = counted
  const narrow = [connections, inPackets, outPackets].map((count) => right(count, 8))
  return [...narrow, right(inOctets, 16), right(outOctets, 16)].join(' ')
}

const right = (count: number, width: number): string => count.toString(16).toUpperCase().padStart(width)

const hex = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, '0')

function place(address: string, port: number): string {
  const text = hexAddress(address)
  return `${isIPv6(address) ? `[${text}]` : text}:${hex(port, 4)}`
}

/** `C0000250`, or all eight groups of an IPv6 address. */
function hexAddress(address: string): string {
  if (!isIPv6(address))
    return address
      .split('.')
      .map((octet) => hex(Number(octet), 2))
      .join('')
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const groups = (part: string | undefined): string[] => (part ? part.split(':') : [])
  const [left, end] = [groups(head), groups(tail)]
  const middle = Array.from({ length: 8 - left.length - end.length }, () => '0')
  return [...left, ...middle, ...end].map((group) => group.padStart(4, '0')).join(':')
}
