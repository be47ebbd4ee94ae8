/** What a TCP segment of a test says; ports and addresses have defaults. */
export interface Segment {
  readonly client?: string
  readonly clientPort?: number
  readonly virtual?: string
  readonly virtualPort?: number
  /** Flags octet: 0x02 SYN, 0x10 ACK, 0x01 FIN, 0x04 RST. Default: SYN. */
  readonly flags?: number
  readonly ttl?: number
  readonly payload?: number
}

export const SYN = 0x02
export const FIN_ACK = 0x11
export const RST = 0x04
export const ACK = 0x10

/** An Ethernet frame with an IPv4 packet that carries one TCP segment. */
export function tcpFrame(segment: Segment = {}): Buffer {
  const { client = '198.51.100.7', clientPort = 40_000, flags = SYN, ttl = 64, payload = 0 } = segment
  const { virtual = '192.0.2.80', virtualPort = 80 } = segment
  const tcp = Buffer.alloc(20 + payload)
  tcp.writeUInt16BE(clientPort, 0)
  tcp.writeUInt16BE(virtualPort, 2)
  tcp.set([0x50, flags], 12)
  return ipv4Frame(client, virtual, 6, tcp, ttl)
}

/** An Ethernet frame with an IPv4 packet that carries one UDP datagram, without checksum. */
export function udpFrame(client: string, clientPort: number, virtualPort: number, payload: string): Buffer {
  const udp = Buffer.alloc(8 + payload.length)
  udp.writeUInt16BE(clientPort, 0)
  udp.writeUInt16BE(virtualPort, 2)
  udp.writeUInt16BE(udp.length, 4)
  udp.write(payload, 8, 'latin1')
  return ipv4Frame(client, '192.0.2.80', 17, udp)
}

function ipv4Frame(source: string, destination: string, protocol: number, content: Buffer, ttl = 64): Buffer {
  const ip = Buffer.from([0x45, 0, 0, 0, 0, 0, 0x40, 0, ttl, protocol, 0, 0])
  ip.writeUInt16BE(20 + content.length, 2)
  const header = Buffer.concat([ip, Buffer.from([...octets(source), ...octets(destination)])])
  header.writeUInt16BE(checksum(header), 10)
  return Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00]), header, content])
}

function octets(address: string): number[] {
  return address.split('.').map(Number)
}

/** The Internet checksum of an IPv4 header (RFC 1071). */
function checksum(header: Buffer): number {
  let sum = 0
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}
