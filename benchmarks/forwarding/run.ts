// A whole run: hosts and contenders first, then each case round by round, turn by turn.

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { cases, type Case, type Turn } from './cases.ts'
import { Meter } from './measure.ts'
import { Network, type Site } from './network.ts'
import type { Run } from './report.ts'
import { Results } from './results.ts'
import { rivals, type Contender, type RivalName, type Surroundings } from './rivals.ts'

/** What to run. */
export interface Plan {
  readonly cases: readonly string[]
  readonly rivals: readonly RivalName[]
  readonly rounds: number
  readonly seconds: number
  /** Connections that are kept beside a flood. */
  readonly quiet: number
  /** Told one line about each step. */
  readonly progress: (line: string) => void
}

/** A contender at its place. */
interface Entry {
  readonly rival: RivalName
  readonly site: Site
  contender: Contender
}

/** Where `nft` is. Not by the search path: npm puts a program of the same name there that does something else. */
export function findNft(): string {
  const path = ['/usr/sbin/nft', '/sbin/nft', '/usr/bin/nft'].find((one) => existsSync(one))
  if (path === undefined) throw new Error('the program nft is missing: apt-get install nftables')
  return path
}

async function enter(
  network: Network,
  plan: Plan,
  surroundings: Surroundings,
  absent: Map<string, string>,
): Promise<Entry[]> {
  const entries: Entry[] = []
  for (const rival of plan.rivals) {
    const site = await network.addSite(rival)
    try {
      entries.push({ rival, site, contender: await rivals[rival].start(site, surroundings) })
    } catch (error) {
      // The director has no excuse.
      if (rival === 'director') throw error
      const why = error instanceof Error ? error.message : String(error)
      absent.set(rival, why)
      plan.progress(`not there: ${rivals[rival].title}: ${why}`)
    }
  }
  return entries
}

function canRun(entry: Entry, { traffic, only }: Case): boolean {
  if (only !== undefined && !only.includes(entry.rival)) return false
  return traffic === 'connections' || rivals[entry.rival].carries === 'packets'
}

function describe(figures: Readonly<Record<string, number>>): string {
  const texts = Object.entries(figures).map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`)
  return texts.join(', ')
}

/** A turn; what goes wrong names the case and the contender. */
async function take<Seen>(name: string, { rival, contender }: Entry, seen: Promise<Seen>): Promise<Seen> {
  try {
    return await seen
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    const said = contender.complaints ?? ''
    throw new Error(`${name}, ${rivals[rival].title}: ${why} ${said}`, { cause: error })
  }
}

/** Runs one case round by round. */
async function compare(
  name: string,
  entries: readonly Entry[],
  plan: Plan,
  results: Results,
  turnOf: (entry: Entry) => Turn,
): Promise<void> {
  const one = cases[name] as Case
  const running = entries.filter((entry) => canRun(entry, one))
  plan.progress(`\n${name}: ${one.title}`)
  for (let round = 0; round <= plan.rounds; round++) {
    for (const entry of running) {
      if (round > 0 && one.startsAnew === true) {
        entry.contender = (await entry.contender.again?.()) ?? entry.contender
      }
      const turn = turnOf(entry)
      await turn.meter.network.use(entry.site)
      if (round === 0) await take(name, entry, one.warmUp?.(turn) ?? Promise.resolve())
      else {
        const figures = await take(name, entry, one.run(turn))
        results.add(name, entry.rival, figures)
        plan.progress(`  round ${round}, ${rivals[entry.rival].title.padEnd(25)} ${describe(figures)}`)
      }
      for (const what of turn.meter.takeFailures()) {
        results.addFailure({ case: name, rival: entry.rival, round, what })
        plan.progress(`  FAILED, round ${round}, ${rivals[entry.rival].title}: ${what}`)
      }
    }
  }
}

/** Runs everything planned. */
export async function runAll(plan: Plan): Promise<{ readonly results: Results; readonly run: Run }> {
  const [results, absent] = [new Results(), new Map<string, string>()]
  const folder = mkdtempSync(join(tmpdir(), 'l4-forwarding-'))
  const surroundings = { folder, nft: findNft() }
  const network = await Network.create()
  let entries: Entry[] = []
  let meter: Meter | undefined
  try {
    entries = await enter(network, plan, surroundings, absent)
    const sites = entries.map(({ site }) => site)
    const counting = (meter = await Meter.start(network, surroundings.nft, sites))
    const turnOf = ({ site, contender }: Entry): Turn => {
      const { seconds, quiet } = plan
      return { meter: counting, site, contender, surroundings, seconds, quiet }
    }
    for (const name of plan.cases) await compare(name, entries, plan, results, turnOf)
  } finally {
    for (const { contender } of entries) await contender.close()
    await meter?.close()
    await network.close()
    rmSync(folder, { recursive: true, force: true })
  }
  return { results, run: { rounds: plan.rounds, seconds: plan.seconds, absent } }
}
