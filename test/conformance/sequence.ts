/** Replays sequences of connections: who is chosen, and how many connections each server has. */
import type { OfflineDirector } from '../../lib/index.ts'
import { canonical } from './address.ts'
import { firstPacket } from './frames.ts'
import { NotCovered, parseIpvsadm, parseSysctl } from './ipvsadm.ts'
import { answeredByHost, outcome, place, prepared } from './placement.ts'
import type { Sequence, SequenceEvent } from './recording.ts'
import { timerTickMs } from './scenario.ts'

type Protocol = 'tcp' | 'udp' | 'sctp'

const tcpFlags: Readonly<Record<string, number>> = { F: 0x01, S: 0x02, R: 0x04, P: 0x08, A: 0x10 }

/** Replays one sequence; returns the differences, readable. */
export function replaySequence(sequence: Sequence): string[] {
  const director = prepared(sequence)
  director.set(parseSysctl(sequence.config.sysctl))
  const mark = /-f (?<mark>\d+)/.exec(sequence.config.ipvsadm[0] ?? '')?.groups?.['mark']
  if (mark !== undefined) defineMark(director, Number(mark), sequence)
  for (const line of sequence.config.ipvsadm) director.apply(parseIpvsadm(line))
  const connections: (readonly [string, number, string?])[] = []
  return sequence.events.flatMap((event, number) => {
    if (event.new) connections.push(event.new)
    const connection = event.new ?? connections[event.conn ?? -1]
    const differences = event.cmd === undefined ? [] : command(director, event)
    if (connection) differences.push(...packet(director, sequence, event, connection))
    return [...differences, ...compareServers(director, sequence, event)].map(
      (difference) =>
        `event ${number} (${JSON.stringify(event.cmd ?? event.new ?? event.pkt)}): ${difference}`,
    )
  })
}

/** The recorder's mark: one port of a whole network of local addresses, TCP and UDP. */
function defineMark(director: OfflineDirector, mark: number, { vip, vport, family }: Sequence): void {
  const prefixLength = family === 4 ? 24 : 64
  director.apply([
    { type: 'define-mark', mark, matches: [{ address: vip, prefixLength, ports: [vport, vport] }] },
  ])
}

function packet(
  director: OfflineDirector,
  { proto, vip, vport, dests }: Sequence,
  { pkt, to }: SequenceEvent,
  [client, port, address = vip]: readonly [string, number, string?],
): string[] {
  const flags = pkt === undefined ? undefined : [...pkt].reduce((all, flag) => all | flagOf(flag), 0)
  const frame = firstPacket(proto as Protocol, [client, port], [address, vport], flags)
  const result = director.process(frame)
  // A host's TCP answers what is left to it, but never a reset.
  const isAnswered = result.verdict === 'pass' && proto === 'tcp' && !pkt?.includes('R')
  const seen = isAnswered ? answeredByHost : place(result, dests)
  if (to === null || to === undefined || seen === to) return []
  return [`${outcome(seen, dests)}, recorded ${outcome(to, dests)}`]
}

function flagOf(letter: string): number {
  const flag = tcpFlags[letter]
  if (flag === undefined) throw new NotCovered(`TCP flag ${letter}`)
  return flag
}

function command(director: OfflineDirector, { cmd = '', rc = 0 }: SequenceEvent): string[] {
  let refusal: string | undefined
  try {
    director.apply(parseIpvsadm(cmd))
  } catch (error) {
    refusal = String(error)
  }
  return (refusal === undefined) === (rc === 0)
    ? []
    : [`${refusal ?? 'accepted'}, recorded exit status ${rc}`]
}

function compareServers(director: OfflineDirector, { dests }: Sequence, event: SequenceEvent): string[] {
  // Where the recorder lost track of the packet, it counted before or after it: nobody knows.
  if (!event.dests || event.to === null) return []
  const recorded = event.dests.map(([index = -1, ...numbers]) => row(dests[index] ?? '', ...numbers))
  const total = event.dests.reduce((sum, [, , active = 0, inactive = 0]) => sum + active + inactive, 0)
  let seen = serverRows(director)
  if (seen.total > total) {
    waitForExpiry(director)
    seen = serverRows(director)
  }
  if (seen.rows.join('\n') === recorded.join('\n')) return []
  return [`servers (address weight active inactive) ${seen.rows.join(', ')}, recorded ${recorded.join(', ')}`]
}

/**
 * Sequences tell no times. A connection less says that so much time had passed: the one with the
 * least time left is over.
 */
function waitForExpiry(director: OfflineDirector): void {
  director.advance(Math.min(...director.connections().map(({ expiresInMs }) => expiresInMs)) + timerTickMs)
}

function serverRows(director: OfflineDirector): { readonly rows: readonly string[]; readonly total: number } {
  const servers = director.snapshot().services.flatMap((service) => service.servers)
  return {
    rows: servers.map(({ address, weight, activeConnections, inactiveConnections }) =>
      row(address, weight, activeConnections, inactiveConnections),
    ),
    total: servers.reduce((sum, server) => sum + server.activeConnections + server.inactiveConnections, 0),
  }
}

function row(address: string, ...numbers: readonly number[]): string {
  return [canonical(address), ...numbers].join(' ')
}
