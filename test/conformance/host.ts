/**
 * What the recorded host's own stack did with packets that IPVS left to it. A director has no such
 * stack: it passes, and the recorded frame must be one that only the host can have made.
 */
import { interfaces } from './lab.ts'

const link = 14

interface View {
  readonly octets: Buffer
  readonly version: 4 | 6
  readonly protocol: number
  readonly source: string
  readonly destination: string
  readonly transport: Buffer
}

function view(frame: Buffer): View {
  const octets = frame.subarray(link)
  if ((octets[0] ?? 0) >> 4 === 4) {
    const headerLength = ((octets[0] ?? 0) & 15) * 4
    return {
      octets,
      version: 4,
      protocol: octets[9] ?? 0,
      source: octets.toString('hex', 12, 16),
      destination: octets.toString('hex', 16, 20),
      transport: octets.subarray(headerLength, octets.readUInt16BE(2)),
    }
  }
  return {
    octets,
    version: 6,
    protocol: octets[6] ?? 0,
    source: octets.toString('hex', 8, 24),
    destination: octets.toString('hex', 24, 40),
    transport: octets.subarray(40, 40 + octets.readUInt16BE(4)),
  }
}

const tcp = 6
const udp = 17
const sctp = 132
const icmp = { 4: 1, 6: 58 } as const
const rstFlag = 0x04

/** Whether the host's stack, and only it, answers `input` with `output`. */
export function madeByHost(input: Buffer, output: Buffer, from: number): boolean {
  if (from === interfaces.server) return forwarded(view(input), view(output))
  const question = view(input)
  const answer = view(output)
  if (question.source !== answer.destination || question.destination !== answer.source) return false
  return reset(question, answer) || echo(question, answer) || closed(question, answer)
}

/** A packet from a server that the host routes on: one hop older, otherwise the same. */
function forwarded(input: View, output: View): boolean {
  if (input.version !== output.version) return false
  const age = input.version === 4 ? 8 : 7
  const payload = input.version === 4 ? 12 : 8
  return (
    output.octets[age] === (input.octets[age] ?? 0) - 1 &&
    output.octets.subarray(payload).equals(input.octets.subarray(payload))
  )
}

/** RST from the TCP of a host that has no such connection. */
function reset(question: View, answer: View): boolean {
  return (
    question.protocol === tcp &&
    answer.protocol === tcp &&
    ((answer.transport[13] ?? 0) & rstFlag) !== 0 &&
    question.transport.readUInt16BE(0) === answer.transport.readUInt16BE(2) &&
    question.transport.readUInt16BE(2) === answer.transport.readUInt16BE(0)
  )
}

/** Answers to ICMP echo and timestamp requests. */
function echo(question: View, answer: View): boolean {
  const pairs = { 4: { 8: 0, 13: 14 }, 6: { 128: 129 } }[question.version] as Record<number, number>
  return (
    question.protocol === icmp[question.version] &&
    answer.protocol === icmp[question.version] &&
    pairs[question.transport[0] ?? -1] === answer.transport[0]
  )
}

/** "Port unreachable" for a closed UDP port, "protocol unreachable" from a host without SCTP. */
function closed(question: View, answer: View): boolean {
  if (answer.protocol !== icmp[answer.version]) return false
  const kind = `${answer.transport[0]}/${answer.transport[1]}`
  const quotes = answer.transport.subarray(8).equals(question.octets.subarray(0, answer.transport.length - 8))
  if (question.protocol === udp) return quotes && kind === (answer.version === 4 ? '3/3' : '1/4')
  return question.protocol === sctp && quotes && kind === (answer.version === 4 ? '3/2' : '4/1')
}
