import type { Command, OfflineDirector, OfflineResult } from '../../lib/index.ts'
import { addressText } from './address.ts'
import { madeByHost } from './host.ts'
import { NotCovered, parseIpvsadm, parseMark, parseSysctl } from './ipvsadm.ts'
import { addClient, addNeighbour, interfaces, labDirector } from './lab.ts'
import { masked } from './mask.ts'
import type { Scenario, Step } from './recording.ts'
import { TableWatch } from './table.ts'

/** What the recorder itself took for each step, roughly: it differs by the kind of scenario. */
const recorderDelaysMs = [15, 68]
/** The most it took on an average. */
const recorderDelayMaxMs = 100
/** How far behind a timer's time the replay goes on, at a time. */
const catchUpMs = 5

/** The director's timers tick every 1/16 s: what is due at the end of a sleep is gone a tick later. */
export const timerTickMs = 63

/**
 * The timeouts a file's scenarios leave behind: the recorder set them for its whole host, so each
 * scenario begins with what the ones before it set, covered or not.
 */
export class HostTimeouts {
  #commands: Command[] = []

  /** What the host has been told so far. */
  get commands(): readonly Command[] {
    return this.#commands
  }

  /** Notes what a scenario tells it. */
  after({ config, steps }: Scenario): void {
    const lines = [...config.ipvsadm, ...steps.flatMap(({ ipvsadm }) => ipvsadm ?? [])]
    const sets = lines.filter((line) => line.startsWith('--set'))
    this.#commands = [...this.#commands, ...sets.flatMap(parseIpvsadm)]
  }
}

/**
 * Replays a scenario that is covered; returns the differences, readable.
 *
 * How long each step took is not recorded, so several paces are tried. Where the recorded table shows
 * that a timer had fired which has not fired here, the scenario is replayed with as much more time
 * before that step, as long as the steps so far stay within `recorderDelayMaxMs` on an average.
 */
export function replayScenario(scenario: Scenario, timeouts: HostTimeouts): readonly string[] {
  let first: readonly string[] | undefined
  for (const delayMs of recorderDelaysMs) {
    const differences = replayAt(delayMs, scenario, timeouts)
    if (differences.length === 0) return []
    first ??= differences
  }
  return first ?? []
}

/** Replays with at least `delayMs` a step. */
function replayAt(delayMs: number, scenario: Scenario, timeouts: HostTimeouts): readonly string[] {
  const delays = scenario.steps.map(() => delayMs)
  const asIs = replay(scenario, timeouts, delays)
  let addedMs = 0
  for (let run = asIs; run.failed; run = replay(scenario, timeouts, delays)) {
    const { step, nextExpiryMs } = run.failed
    const moreMs = nextExpiryMs + catchUpMs
    addedMs += moreMs
    if (addedMs > (step + 1) * (recorderDelayMaxMs - delayMs)) return asIs.differences
    delays[step] = (delays[step] ?? 0) + moreMs
  }
  return []
}

interface Run {
  readonly differences: readonly string[]
  /** The first step that differs, and when the next timer fires, seen from before it. */
  readonly failed?: { readonly step: number; readonly nextExpiryMs: number }
}

function replay(scenario: Scenario, timeouts: HostTimeouts, delaysMs: readonly number[]): Run {
  const director = prepared(scenario, timeouts)
  const watch = new TableWatch(director, scenario)
  const differences: string[] = []
  let failed: Run['failed']
  for (const [number, step] of scenario.steps.entries()) {
    director.advance(delaysMs[number] ?? 0)
    const nextExpiryMs = failed ? 0 : nextExpiry(director)
    const found = replayStep(director, watch, step)
    if (found.length > 0) failed ??= { step: number, nextExpiryMs }
    const name = `step ${number} (${step.desc ?? step.ipvsadm ?? 'sleep'})`
    differences.push(...found.map((difference) => `${name}: ${difference}`))
  }
  return { differences, ...(failed && { failed }) }
}

/** Milliseconds until the next connection's timer fires; endless without any. */
function nextExpiry(director: OfflineDirector): number {
  return Math.min(...director.connections().map((row) => row.expiresInMs))
}

function prepared(scenario: Scenario, timeouts: HostTimeouts): OfflineDirector {
  const director = labDirector()
  director.apply(timeouts.commands)
  for (const address of serverAddresses(scenario)) addNeighbour(director, address)
  director.set(parseSysctl(scenario.config.sysctl))
  if (scenario.config.nft !== undefined) director.apply([parseMark(scenario.config.nft)])
  director.apply(scenario.config.ipvsadm.flatMap(parseIpvsadm))
  return director
}

/** Why the director cannot replay this scenario yet, if it cannot. */
export function notCovered({ config, steps }: Scenario): string | undefined {
  try {
    config.ipvsadm.forEach(parseIpvsadm)
    parseSysctl(config.sysctl)
    if (config.nft !== undefined) parseMark(config.nft)
    for (const { ipvsadm, sysctl } of steps) {
      if (ipvsadm !== undefined) parseIpvsadm(ipvsadm)
      parseSysctl(sysctl)
    }
  } catch (error) {
    if (error instanceof NotCovered) return error.message
    throw error
  }
  return undefined
}

/** Every real server any command of the scenario names. */
function serverAddresses({ config, steps }: Scenario): string[] {
  const lines = [...config.ipvsadm, ...steps.flatMap(({ ipvsadm }) => ipvsadm ?? [])]
  return lines.flatMap((line) =>
    parseIpvsadm(line).flatMap((command) => (command.type === 'add-server' ? [command.server.address] : [])),
  )
}

function replayStep(director: OfflineDirector, watch: TableWatch, step: Step): string[] {
  if (step.sleep !== undefined) director.advance(step.sleep * 1000 + timerTickMs)
  if (step.sysctl) director.set(parseSysctl(step.sysctl))
  const differences = step.ipvsadm === undefined ? [] : command(director, step)
  if (step.in !== undefined) differences.push(...frame(director, watch, step, step.in))
  return [...differences, ...watch.compare(step)]
}

function command(director: OfflineDirector, { ipvsadm = '', rc = 0 }: Step): string[] {
  let refusal: string | undefined
  try {
    director.apply(parseIpvsadm(ipvsadm))
  } catch (error) {
    refusal = String(error)
  }
  director.advance(0)
  if ((refusal === undefined) === (rc === 0)) return []
  return [`${refusal ?? 'accepted'}, recorded exit status ${rc}`]
}

function frame(director: OfflineDirector, watch: TableWatch, step: Step, hex: string): string[] {
  const input = Buffer.from(hex, 'hex')
  const from = step.from === 'rs' ? interfaces.server : interfaces.client
  watch.sent(input)
  if (from === interfaces.server) addClient(director, destinationOf(input))
  const result = director.process(Buffer.from(input), { interface: from })
  if (!step.out) return []
  const expected = step.out.map(({ to, frame: out }) => ({
    interface: to === 'rs' ? interfaces.server : interfaces.client,
    frame: Buffer.from(out, 'hex'),
  }))
  if (result.verdict === 'pass') {
    return expected
      .filter((out) => !madeByHost(input, out.frame, from))
      .map((out) => `passed (${result.reason}), recorded ${describe(out)}`)
  }
  return compareFrames(result, expected, watch.tunnels)
}

/** Where a frame's IP packet goes. */
export function destinationOf(frame: Buffer): string {
  const ipv4 = frame.readUInt16BE(12) === 0x0800
  return addressText(ipv4 ? frame.subarray(30, 34) : frame.subarray(38, 54))
}

interface OutFrame {
  readonly interface: number
  readonly frame: Uint8Array
}

function describe({ interface: number, frame: octets }: OutFrame): string {
  return `${number === interfaces.server ? 'rs ' : 'cli'} ${Buffer.from(octets).toString('hex')}`
}

function compareFrames(result: OfflineResult, expected: readonly OutFrame[], tunnels: boolean): string[] {
  const key = (out: OutFrame): string =>
    `${out.interface} ${masked(Buffer.from(out.frame), tunnels && out.interface === interfaces.server)}`
  if (result.frames.map(key).join('\n') === expected.map(key).join('\n')) return []
  const lines = (frames: readonly OutFrame[]): string =>
    frames.length === 0 ? '\n      nothing' : frames.map((out) => `\n      ${describe(out)}`).join('')
  return [
    `${result.verdict}${result.reason === undefined ? '' : ` (${result.reason})`}${lines(result.frames)}\n    recorded${lines(expected)}`,
  ]
}
