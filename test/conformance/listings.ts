/** Replays recorded listings: commands at their times, and frames between them. */
import type { OfflineDirector } from '../../lib/index.ts'
import { Shell } from './command.ts'
import { addClient, addNeighbour, interfaces, labDirector } from './lab.ts'
import { destinationOf } from './scenario.ts'
import { compareEnds, isBetween } from './text-compare.ts'
import type { SentFrames, TextRun, TextStep } from './text.ts'

/** IPVS sums up its counters with its averages, every two seconds: listings are as old as that. */
const countersAgeSeconds = 2
/**
 * When frames were sent between two commands is not recorded. They are spread evenly over what is left
 * of that time, if need be beginning later: some of the recorded timers run for three seconds only.
 */
const latenesses = [0, 0.2, 0.4, 0.6, 0.8, 0.95] as const

type Lateness = (typeof latenesses)[number]
type TimedStep = TextStep & { readonly t: number }

/** Replays the runs of one recording, which share a director: connections outlive the services of a run. */
export async function replayListings(runs: readonly TextRun[]): Promise<string[][]> {
  const found: string[][] = []
  const chosen: Lateness[] = []
  for (const [number, run] of runs.entries()) {
    const tries: string[][] = []
    for (const lateness of latenesses) {
      const director = labDirector()
      for (const [earlier, before] of runs.slice(0, number).entries()) {
        await new ListingReplay(director, chosen[earlier] ?? 0).replay(before)
      }
      tries.push(await new ListingReplay(director, lateness).replay(run))
      if (tries.at(-1)?.length === 0) break
    }
    const passed = tries.findIndex((differences) => differences.length === 0)
    chosen.push(latenesses[passed] ?? 0)
    found.push(tries[passed] ?? tries[0] ?? [])
  }
  return found
}

class ListingReplay {
  readonly #director: OfflineDirector
  readonly #lateness: Lateness
  /** What listings of counters said before the latest frames, and when that was. */
  #before = new Map<string, string>()
  #beforeAt = -Infinity

  constructor(director: OfflineDirector, lateness: Lateness) {
    this.#director = director
    this.#lateness = lateness
  }

  async replay(run: TextRun): Promise<string[]> {
    const shell = await Shell.open(this.#director)
    try {
      await shell.run('ipvsadm -C')
      for (const address of run.dests) addNeighbour(this.#director, address, mtuOf(run))
      const differences: string[] = []
      for (const [at, event] of run.events.entries()) {
        if ('t' in event) differences.push(...(await this.#command(shell, event)))
        else {
          const isFirst = 't' in (run.events[at - 1] ?? { t: 0 })
          if (isFirst) await this.#note(shell, run)
          differences.push(...this.#send(event, this.#waitOf(run, at, isFirst)))
        }
      }
      return differences
    } finally {
      await shell.close()
    }
  }

  async #command(shell: Shell, step: TimedStep): Promise<string[]> {
    this.#advance(step.t * 1000 - this.#director.now)
    const ended = await shell.run(step.cmd, step.stdin)
    const before = this.#before.get(step.cmd)
    const ageMs = this.#director.now - this.#beforeAt
    const recent = before !== undefined && ageMs <= countersAgeSeconds * 1000
    if (recent && isBetween(step.stdout, before, ended.stdout)) {
      return compareEnds(step.cmd, { ...ended, stdout: step.stdout }, step)
    }
    return compareEnds(step.cmd, ended, step)
  }

  /** Notes what every listing of counters in the run says now. */
  async #note(shell: Shell, { events }: TextRun): Promise<void> {
    const lines = events.flatMap((event) =>
      't' in event && event.cmd.includes('--stats') ? [event.cmd] : [],
    )
    this.#before = new Map()
    for (const line of new Set(lines)) this.#before.set(line, (await shell.run(line)).stdout)
  }

  /** Milliseconds to wait before frames. */
  #waitOf({ events }: TextRun, at: number, isFirst: boolean): number {
    const rest = events.slice(at)
    const sends = rest.findIndex((event) => 't' in event)
    const next = rest[sends]
    if (next === undefined || !('t' in next)) return 0
    const left = Math.max(0, next.t * 1000 - this.#director.now)
    const late = isFirst ? left * this.#lateness : 0
    return late + (left - late) / (sends + 1)
  }

  #send({ send, from, count, out }: SentFrames, waitMs: number): string[] {
    const input = Buffer.from(send, 'hex')
    if (from === 'rs') addClient(this.#director, destinationOf(input))
    const sent: Record<'rs' | 'cli', [number, number]> = { rs: [0, 0], cli: [0, 0] }
    for (let number = 0; number < count; number += 1) {
      this.#advance(waitMs / count)
      this.#beforeAt = this.#director.now
      const meta = { interface: from === 'rs' ? interfaces.server : interfaces.client }
      for (const { interface: side, frame } of this.#director.process(Buffer.from(input), meta).frames) {
        const counts = sent[side === interfaces.server ? 'rs' : 'cli']
        counts[0] += 1
        counts[1] += frame.length - 14
      }
    }
    const text = JSON.stringify([sent.rs, sent.cli])
    const recorded = JSON.stringify([out.rs, out.cli])
    return text === recorded ? [] : [`${send.slice(0, 64)}…: out ${text}, recorded ${recorded}`]
  }

  #advance(milliseconds: number): void {
    this.#director.advance(Math.max(0, Math.round(milliseconds)))
  }
}

/** What the recorded way to the servers carried: at least the usual, and every packet that got through. */
function mtuOf({ events }: TextRun): number {
  const sizes = events.flatMap((event) => {
    if ('t' in event) return []
    const [frames, octets] = event.out.rs
    return frames === 0 ? [] : [Math.ceil(octets / frames)]
  })
  return Math.max(1500, ...sizes)
}
