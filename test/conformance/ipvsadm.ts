import type { Command, ServerSpec, ServiceKey, ServiceSpec, SettingsPatch, Tunnel } from '../../lib/index.ts'

/** Something the recording needs that the director does not have yet: not a failure, but said. */
export class NotCovered extends Error {
  override readonly name = 'NotCovered'
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Splits `192.0.2.1:80`, `[2001:db8::1]:80`, or an address without a port. */
export function parseEndpoint(text: string): { address: string; port: number } {
  const match = /^(?:\[(?<v6>.+)\]|(?<v4>[^:]+)):(?<port>\d+)$/.exec(text)
  if (!match?.groups) return { address: text, port: 0 }
  const { v6, v4, port } = match.groups
  return { address: v6 ?? v4 ?? '', port: Number(port) }
}

/** Reads one recorded command line; only the vocabulary of the recordings, not the whole dialect. */
export function parseIpvsadm(line: string): Command[] {
  const words = line.trim().split(/\s+/)
  const action = words.shift()
  if (action === '-C') return [{ type: 'clear' }]
  if (action === '--set') return [{ type: 'settings', settings: timeouts(words) }]
  const options = readOptions(words)
  const service = serviceKey(options)
  switch (action) {
    case '-A':
      return [{ type: 'add-service', service: serviceSpec(service, options) }]
    case '-E':
      return [{ type: 'edit-service', service: serviceSpec(service, options) }]
    case '-D':
      return [{ type: 'remove-service', service }]
    case '-a':
      return [{ type: 'add-server', service, server: serverSpec(options) }]
    case '-e':
      return [{ type: 'edit-server', service, server: serverSpec(options) }]
    case '-d':
      return [{ type: 'remove-server', service, server: serverKey(options) }]
    default:
      throw new NotCovered(`ipvsadm ${action}`)
  }
}

const flagsWithoutValue = new Set([
  '-g',
  '-m',
  '-i',
  '-o',
  '-6',
  '--tun-nocsum',
  '--tun-csum',
  '--tun-remcsum',
])

function readOptions(words: readonly string[]): Map<string, string> {
  const options = new Map<string, string>()
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? ''
    if (flagsWithoutValue.has(word)) options.set(word, '')
    else options.set(word, words[(at += 1)] ?? '')
  }
  return options
}

function timeouts([tcp, fin, udp]: readonly string[]): SettingsPatch {
  const patch: Mutable<SettingsPatch> = {}
  if (Number(tcp) > 0) patch.tcpTimeoutSeconds = Number(tcp)
  if (Number(fin) > 0) patch.tcpFinTimeoutSeconds = Number(fin)
  if (Number(udp) > 0) patch.udpTimeoutSeconds = Number(udp)
  return patch
}

function serviceKey(options: ReadonlyMap<string, string>): ServiceKey {
  const mark = options.get('-f')
  if (mark !== undefined) {
    return { mark: Number(mark), family: options.has('-6') ? 'ipv6' : 'ipv4' }
  }
  for (const [option, protocol] of [
    ['-t', 'tcp'],
    ['-u', 'udp'],
    ['--sctp-service', 'sctp'],
  ] as const) {
    const endpoint = options.get(option)
    if (endpoint !== undefined) return { protocol, ...parseEndpoint(endpoint) }
  }
  throw new NotCovered('a command without a service')
}

function serviceSpec(key: ServiceKey, options: ReadonlyMap<string, string>): ServiceSpec {
  const name = options.get('-s') ?? 'wlc'
  const flags = (options.get('-b') ?? '').split(',').filter((flag) => flag !== '')
  return {
    ...key,
    ...(name !== 'none' && { scheduler: name as NonNullable<ServiceSpec['scheduler']> }),
    ...(flags.length > 0 && { flags: flags as NonNullable<ServiceSpec['flags']> }),
    ...persistence(options),
    ...(options.has('-o') && { onePacket: true }),
  }
}

function persistence(options: ReadonlyMap<string, string>): Pick<ServiceSpec, 'persistence'> {
  const timeout = options.get('-p')
  if (timeout === undefined) return {}
  const mask = options.get('-M')
  return {
    persistence: {
      timeoutSeconds: Number(timeout),
      ...(mask !== undefined && { prefixLength: prefixLength(mask) }),
    },
  }
}

/** A dotted netmask, or a prefix length for IPv6. */
function prefixLength(mask: string): number {
  if (!mask.includes('.')) return Number(mask)
  return mask
    .split('.')
    .map((octet) => Number(octet).toString(2).replaceAll('0', '').length)
    .reduce((sum, bits) => sum + bits, 0)
}

function serverKey(options: ReadonlyMap<string, string>): ServerSpec {
  const { address, port } = parseEndpoint(options.get('-r') ?? '')
  return { address, ...(port > 0 && { port }) }
}

function serverSpec(options: ReadonlyMap<string, string>): ServerSpec {
  return {
    ...serverKey(options),
    ...(options.has('-m') && { forwarding: 'masquerading' as const }),
    ...(options.has('-i') && { forwarding: 'tunnelling', tunnel: tunnel(options) }),
    weight: Number(options.get('-w') ?? 1),
    upperThreshold: Number(options.get('-x') ?? 0),
    lowerThreshold: Number(options.get('-y') ?? 0),
  }
}

function tunnel(options: ReadonlyMap<string, string>): Tunnel {
  const checksum = (['csum', 'remcsum'] as const).find((name) => options.has(`--tun-${name}`))
  const port = options.get('--tun-port')
  return {
    type: (options.get('--tun-type') ?? 'ipip') as NonNullable<Tunnel['type']>,
    ...(port !== undefined && { port: Number(port) }),
    ...(checksum && { checksum }),
  }
}

const booleans = {
  sloppy_tcp: 'sloppyTcp',
  sloppy_sctp: 'sloppySctp',
  schedule_icmp: 'scheduleIcmp',
  expire_nodest_conn: 'expireNodestConn',
  expire_quiescent_template: 'expireQuiescentTemplate',
  pmtu_disc: 'pmtuDisc',
  nat_icmp_send: 'natIcmpSend',
} as const

/** Settings of other forwarding methods or defences: 0, or any value that no covered one reads. */
const withoutEffect = new Set(['snat_reroute', 'ignore_tunneled'])

const numbers = {
  conn_reuse_mode: 'connReuseMode',
  drop_entry: 'dropEntry',
  drop_packet: 'dropPacket',
  secure_tcp: 'secureTcp',
  am_droprate: 'amDroprate',
} as const

/** Translates recorded kernel settings. */
export function parseSysctl(sysctl: Readonly<Record<string, string | number>> = {}): SettingsPatch {
  const patch: Mutable<SettingsPatch> = {}
  for (const [name, value] of Object.entries(sysctl)) {
    if (name in booleans) patch[booleans[name as keyof typeof booleans]] = Number(value) !== 0
    else if (name in numbers) patch[numbers[name as keyof typeof numbers]] = Number(value)
    else if (!withoutEffect.has(name) && Number(value) !== 0) throw new NotCovered(`${name}=${value}`)
  }
  return patch
}

/** Translates the recorder's description of packet marks. */
export function parseMark(description: string): Command {
  const match =
    /ip6? daddr (?<address>\S+) (?<protocol>tcp|udp|sctp) dport (?<first>\d+)(?:-(?<last>\d+))? mark (?<mark>\d+)/.exec(
      description,
    )
  if (!match?.groups) throw new NotCovered(`packet mark: ${description}`)
  const { address = '', protocol, first, last, mark } = match.groups
  return {
    type: 'define-mark',
    mark: Number(mark),
    matches: [
      {
        address,
        protocol: protocol as 'tcp' | 'udp' | 'sctp',
        ports: [Number(first), Number(last ?? first)],
      },
    ],
  }
}
