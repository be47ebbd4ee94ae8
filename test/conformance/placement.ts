import type { OfflineDirector, OfflineResult } from '../../lib/index.ts'
import { canonical } from './address.ts'
import { firstPacket } from './frames.ts'
import { parseIpvsadm } from './ipvsadm.ts'
import { addNeighbour, labDirector } from './lab.ts'
import type { Burst, DynamicCase, FlowSets, StaticCase } from './recording.ts'

const refused = -1
const nothing = -2
/** The recorded host's own TCP answered what was left to it: a reset. */
export const answeredByHost = -3

/** Replays one fresh service and its burst; returns the differences, readable. */
export function replayStatic(recorded: StaticCase, flowsets: FlowSets): string[] {
  const director = prepared(recorded)
  director.apply(recorded.config.ipvsadm.flatMap(parseIpvsadm))
  const order = serversInListOrder(director).map((address) => indexOf(recorded.dests, address))
  const expectedOrder = recorded.list_order.join()
  if (order.join() !== expectedOrder) return [`list order ${order.join()}, recorded ${expectedOrder}`]
  return replayBurst(director, recorded, recorded, flowsets)
}

/** Replays the phases of one live director; returns the differences, readable. */
export function replayDynamic(recorded: DynamicCase, flowsets: FlowSets): string[] {
  const director = prepared(recorded)
  return recorded.phases.flatMap((phase, number) => {
    director.apply(phase.ipvsadm.flatMap(parseIpvsadm))
    const differences = phase.bursts.flatMap((burst) => replayBurst(director, recorded, burst, flowsets))
    return [...differences, ...compareListing(director, phase.after)].map(
      (difference) => `phase ${number}: ${difference}`,
    )
  })
}

/** The lab's director with ways to every server. */
export function prepared({ dests }: { readonly dests: readonly string[] }): OfflineDirector {
  const director = labDirector()
  for (const address of dests) addNeighbour(director, address)
  return director
}

function replayBurst(
  director: OfflineDirector,
  { proto, vip, port, dests }: StaticCase | DynamicCase,
  burst: Burst,
  flowsets: FlowSets,
): string[] {
  const flows = flowsets[burst.flowset]?.slice(burst.from, burst.to)
  if (!flows || flows.length !== burst.expected.length) return [`flow set ${burst.flowset} is short`]
  const differences: string[] = []
  flows.forEach((flow, at) => {
    const expected = burst.expected[at]
    if (expected === null || expected === undefined) return
    const seen = place(director.process(firstPacket(proto, flow, [vip, port])), dests)
    if (seen !== expected) {
      differences.push(
        `flow ${flow[0]} ${flow[1]}: ${outcome(seen, dests)}, recorded ${outcome(expected, dests)}`,
      )
    }
  })
  return differences
}

/** Index of the server the frame went to, or one of the negative codes. */
export function place(result: OfflineResult, dests: readonly string[]): number {
  if (result.verdict === 'forward') return indexOf(dests, result.server?.address ?? '')
  return result.verdict === 'reply' && result.reason === 'no-server' ? refused : nothing
}

/** A server or a negative code, readable. */
export function outcome(code: number, dests: readonly string[]): string {
  if (code === refused) return 'refused'
  if (code === answeredByHost) return 'left to the host'
  return code === nothing ? 'nothing came out' : (dests[code] ?? `server ${code}`)
}

/** Index of an address among the servers, or -1. */
export function indexOf(dests: readonly string[], address: string): number {
  return dests.findIndex((dest) => canonical(dest) === canonical(address))
}

function serversInListOrder(director: OfflineDirector): string[] {
  return director.snapshot().services.flatMap(({ servers }) => servers.map(({ address }) => address))
}

/** Compares server rows with a recorded `ipvsadm -L -n --nosort`. */
function compareListing(director: OfflineDirector, listing: string): string[] {
  const row =
    /^ {2}-> \[?(?<address>[^\]\s]+?)\]?:\d+ +Route +(?<weight>\d+) +(?<active>\d+) +(?<inactive>\d+)/gm
  const recorded = [...listing.matchAll(row)].map(({ groups: { address, weight, active, inactive } = {} }) =>
    [canonical(address ?? ''), weight, active, inactive].join(' '),
  )
  const seen = director
    .snapshot()
    .services.flatMap(({ servers }) =>
      servers.map((server) =>
        [canonical(server.address), server.weight, server.activeConnections, server.inactiveConnections].join(
          ' ',
        ),
      ),
    )
  return seen.join('\n') === recorded.join('\n')
    ? []
    : [`servers\n${seen.join('\n')}\nrecorded\n${recorded.join('\n')}`]
}
