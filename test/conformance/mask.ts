const etherTypeIpv4 = 0x0800
const etherTypeIpv6 = 0x86dd
const ethernetLength = 14
const ipv4Length = 20
const ipv6Length = 40
const largestIcmpv6Error = 127
const dontFragment = 0x4000
const protocols = { icmp: 1, udp: 17, fragment: 44, icmpv6: 58 } as const
/** The only destination port that the recorder's GUE tunnels had. */
const guePort = 6080

/**
 * Blanks what varies from run to run in frames the director makes:
 *
 * - in its ICMP errors the IPv4 identification, with it the header checksum, and the IPv6 flow label;
 * - the identification of IPv6 fragments;
 * - in tunnels the outer IPv4 identification where it may be fragmented, with the header checksum;
 *   the source port of GUE, and its part in the checksum.
 *
 * Everything else stays. `tunnelled` says that a frame's outermost packet goes to a real server by a
 * tunnel.
 */
export function masked(frame: Buffer, tunnelled: boolean): string {
  const copy = Buffer.from(frame)
  const etherType = copy.readUInt16BE(12)
  const packet = copy.subarray(ethernetLength)
  if (etherType === etherTypeIpv4) maskIpv4(packet, tunnelled)
  if (etherType === etherTypeIpv6) maskIpv6(packet, tunnelled)
  return copy.toString('hex')
}

function maskIpv4(packet: Buffer, tunnelled: boolean): void {
  const ofTunnel = tunnelled && (packet.readUInt16BE(6) & dontFragment) === 0
  if (packet[9] === protocols.icmp || ofTunnel) {
    packet.fill(0, 4, 6)
    packet.fill(0, 10, 12)
  }
  const isFirst = (packet.readUInt16BE(6) & 0x1fff) === 0
  if (tunnelled && isFirst) maskGue(packet[9], packet.subarray(ipv4Length))
}

function maskIpv6(packet: Buffer, tunnelled: boolean): void {
  if (packet[6] === protocols.icmpv6 && (packet[ipv6Length] ?? 0) <= largestIcmpv6Error) {
    packet[1] = (packet[1] ?? 0) & 0xf0
    packet.fill(0, 2, 4)
  }
  const behind = packet.subarray(ipv6Length)
  if (packet[6] === protocols.fragment) {
    const isFirst = behind.readUInt16BE(2) >> 3 === 0
    if (tunnelled && isFirst) maskGue(behind[0], behind.subarray(8))
    behind.fill(0, 4, 8)
  } else if (tunnelled) maskGue(packet[6], behind)
}

function maskGue(protocol: number | undefined, datagram: Buffer): void {
  if (protocol !== protocols.udp || datagram.length < 8 || datagram.readUInt16BE(2) !== guePort) return
  const port = datagram.readUInt16BE(0)
  const checksum = datagram.readUInt16BE(6)
  datagram.fill(0, 0, 2)
  // What is left of the checksum without the port is still compared (RFC 1624).
  if (checksum !== 0) datagram.writeUInt16BE(((checksum + port) % 0xffff) + 1, 6)
}
