const ethernetLength = 14
const etherTypeIpv4 = 0x0800
const etherTypeIpv6 = 0x86dd
const protocolIcmp = 1
const protocolIcmpv6 = 58
const protocolFragment = 44
const largestIcmpv6Error = 127

/**
 * Blanks what varies from run to run in an ICMP error the director makes: the IPv4 identification
 * and with it the header checksum, the IPv6 flow label; and the identification of IPv6 fragments.
 * Everything else stays.
 */
export function masked(frame: Buffer): string {
  const copy = Buffer.from(frame)
  const etherType = copy.readUInt16BE(12)
  if (etherType === etherTypeIpv4 && copy[ethernetLength + 9] === protocolIcmp) {
    copy.fill(0, ethernetLength + 4, ethernetLength + 6)
    copy.fill(0, ethernetLength + 10, ethernetLength + 12)
  }
  if (etherType === etherTypeIpv6 && copy[ethernetLength + 6] === protocolIcmpv6) {
    if ((copy[ethernetLength + 40] ?? 0) <= largestIcmpv6Error) {
      copy[ethernetLength + 1] = (copy[ethernetLength + 1] ?? 0) & 0xf0
      copy.fill(0, ethernetLength + 2, ethernetLength + 4)
    }
  }
  if (etherType === etherTypeIpv6 && copy[ethernetLength + 6] === protocolFragment) {
    copy.fill(0, ethernetLength + 44, ethernetLength + 48)
  }
  return copy.toString('hex')
}
