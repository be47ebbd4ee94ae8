import { addressOctets } from './address.ts'
import { clientMac, directorMac } from './lab.ts'

const protocolNumbers = { tcp: 6, udp: 17, sctp: 132 } as const

const synFlag = 0x02

/**
 * The first packet of a flow as the recorder's client sends it, or a later TCP packet with other
 * flags; its layer-4 checksum is 0.
 */
export function firstPacket(
  protocol: 'tcp' | 'udp' | 'sctp',
  client: readonly [string, number],
  virtual: readonly [string, number],
  flags = synFlag,
): Buffer {
  const transport = Buffer.alloc({ tcp: 20, udp: 8, sctp: 32 }[protocol])
  transport.writeUInt16BE(client[1], 0)
  transport.writeUInt16BE(virtual[1], 2)
  if (protocol === 'tcp') transport.writeUInt16BE(0x5000 | flags, 12)
  if (protocol === 'udp') transport.writeUInt16BE(8, 4)
  if (protocol === 'sctp') transport.writeUInt32BE(0x01000014, 12)
  const source = addressOctets(client[0])
  const destination = addressOctets(virtual[0])
  const header =
    source.length === 4
      ? ipv4Header(protocolNumbers[protocol], source, destination, transport.length)
      : ipv6Header(protocolNumbers[protocol], source, destination, transport.length)
  const etherType = Buffer.from(source.length === 4 ? '0800' : '86dd', 'hex')
  return Buffer.concat([directorMac.client, clientMac, etherType, header, transport])
}

function ipv4Header(protocol: number, source: Buffer, destination: Buffer, length: number): Buffer {
  const header = Buffer.alloc(20)
  header.writeUInt16BE(0x4500, 0)
  header.writeUInt16BE(20 + length, 2)
  header.writeUInt16BE(0x4000, 6)
  header[8] = 64
  header[9] = protocol
  source.copy(header, 12)
  destination.copy(header, 16)
  header.writeUInt16BE(internetChecksum(header), 10)
  return header
}

function ipv6Header(protocol: number, source: Buffer, destination: Buffer, length: number): Buffer {
  const header = Buffer.alloc(40)
  header[0] = 0x60
  header.writeUInt16BE(length, 4)
  header[6] = protocol
  header[7] = 64
  source.copy(header, 8)
  destination.copy(header, 24)
  return header
}

/** The Internet checksum (RFC 1071) of an even number of octets. */
function internetChecksum(octets: Buffer): number {
  let sum = 0
  for (let at = 0; at < octets.length; at += 2) sum += octets.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}
