/**
 * Replays recordings of the kernel through the offline director.
 *
 * npm run conformance -- [FOLDER] [--only NAME]
 *
 * One line a file; the first differences of each failure; exit status 1 on any difference.
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { NotCovered } from './ipvsadm.ts'
import { replayListings } from './listings.ts'
import { replayDynamic, replayStatic } from './placement.ts'
import {
  type FlowSets,
  listRecordings,
  readRecording,
  type Recording,
  type Scenario,
  type Sequence,
} from './recording.ts'
import { HostTimeouts, notCovered, replayScenario } from './scenario.ts'
import { replaySequence } from './sequence.ts'
import { replayText } from './text.ts'
import type { TextOutcome, TextRun, TextSequence } from './text.ts'

const differencesShown = 5

/** A signal that is not listened to ends the process without its last steps. */
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }
for (const [name, number] of Object.entries(SIGNALS)) process.once(name, () => process.exit(128 + number))

/** One replayed case: its differences, or why it cannot be replayed yet. */
interface Outcome {
  readonly name: string
  readonly differences: readonly string[]
  readonly missing?: string
  /** Steps that a director refuses by design, as documented, and that were checked to be refused. */
  readonly refused?: number
}

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { only: { type: 'string' } },
  })
  const folder = positionals[0] ?? fileURLToPath(new URL('./recordings', import.meta.url))
  const names = listRecordings(folder)
  const totals = { passed: 0, failed: 0, missing: 0 }
  for (const name of names) {
    const outcomes = await replayFile(folder, name, values.only)
    if (outcomes) report(name, outcomes, totals)
  }
  console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.missing} not covered yet`)
  if (totals.passed + totals.failed === 0) console.error(`No case to replay in ${folder}.`)
  process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0
}

async function replayFile(folder: string, file: string, only = ''): Promise<Outcome[] | undefined> {
  const recording = readRecording(folder, file)
  if (recording.flowsets) return undefined
  const kind = file.replace('.json.gz', '')
  const scheduler = /^(?:sh|mh)(?=_)/.exec(kind)
  if (scheduler && recording.cases) {
    const { flowsets = {} } = readRecording(folder, `${scheduler[0]}_flowsets.json.gz`)
    return replayPlacements(recording, flowsets, only)
  }
  if (recording.sequences) return replayTexts(recording.sequences, only)
  if (recording.runs) return replayRuns(recording.runs, only)
  if (kind === 'sched_sequences') return replaySequences(recording.scenarios as Sequence[], only)
  if (recording.scenarios) {
    return replayScenarios(recording.scenarios as Scenario[], only)
  }
  return [{ name: file, differences: [], missing: 'this kind of recording' }]
}

function replayScenarios(scenarios: readonly Scenario[], only: string): Outcome[] {
  const timeouts = new HostTimeouts()
  return scenarios.flatMap((scenario) => {
    const { name } = scenario
    const missing = notCovered(scenario)
    const differences =
      missing === undefined && name.includes(only) ? guarded(() => replayScenario(scenario, timeouts)) : []
    timeouts.after(scenario)
    if (!name.includes(only)) return []
    return [{ name, differences, ...(missing !== undefined && { missing }) }]
  })
}

function replaySequences(sequences: readonly Sequence[], only: string): Outcome[] {
  return sequences
    .filter(({ name }) => name.includes(only))
    .map((sequence) => ({ name: sequence.name, differences: guarded(() => replaySequence(sequence)) }))
}

function replayPlacements(recording: Recording, flowsets: FlowSets, only: string): Outcome[] {
  return (recording.cases ?? [])
    .filter(({ id }) => id.includes(only))
    .map((recorded) => ({
      name: recorded.id,
      differences: guarded(() =>
        'phases' in recorded ? replayDynamic(recorded, flowsets) : replayStatic(recorded, flowsets),
      ),
    }))
}

async function replayTexts(sequences: readonly TextSequence[], only: string): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const sequence of sequences.filter(({ name }) => name.includes(only))) {
    const failed = (error: unknown): TextOutcome => ({ differences: thrown(error), refused: 0 })
    outcomes.push({ name: sequence.name, ...(await replayText(sequence).catch(failed)) })
  }
  return outcomes
}

/** A run that is not asked for leaves its connections to the next one all the same. */
async function replayRuns(runs: readonly TextRun[], only: string): Promise<Outcome[]> {
  if (!runs.some(({ name }) => name.includes(only))) return []
  const found = await replayListings(runs).catch((error: unknown) => runs.map(() => thrown(error)))
  return runs
    .map(({ name }, number) => ({ name, differences: found[number] ?? [] }))
    .filter(({ name }) => name.includes(only))
}

/** A case that throws is a case that fails. */
function guarded(replay: () => readonly string[]): readonly string[] {
  try {
    return replay()
  } catch (error) {
    if (error instanceof NotCovered) throw error
    return thrown(error)
  }
}

function thrown(error: unknown): string[] {
  return [error instanceof Error ? (error.stack ?? error.message) : String(error)]
}

function report(
  file: string,
  outcomes: readonly Outcome[],
  totals: { passed: number; failed: number; missing: number },
): void {
  const missing = outcomes.filter((outcome) => outcome.missing !== undefined)
  const failed = outcomes.filter(({ differences }) => differences.length > 0)
  const passed = outcomes.length - missing.length - failed.length
  const reasons = [...new Set(missing.map((outcome) => outcome.missing))].toSorted()
  const rest = missing.length === 0 ? '' : `, ${missing.length} not covered yet (${reasons.join(', ')})`
  console.log(`${file.padEnd(26)} ${passed} passed, ${failed.length} failed${rest}`)
  for (const { name, differences, refused = 0 } of outcomes) {
    if (refused > 0 && differences.length === 0) {
      console.log(`  ${name}: passed, with ${refused} steps refused by design`)
    }
  }
  for (const { name, differences } of failed) {
    console.log(`  ${name}: ${differences.length} differences`)
    for (const difference of differences.slice(0, differencesShown)) console.log(`    ${difference}`)
  }
  totals.passed += passed
  totals.failed += failed.length
  totals.missing += missing.length
}

await main()
