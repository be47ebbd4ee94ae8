/** Replays recorded `ipvsadm` command lines through the real command. */
import { type Ended, Shell } from './command.ts'
import { labDirector } from './lab.ts'
import { compareEnds } from './text-compare.ts'

/** One recorded command line. */
export interface TextStep extends Ended {
  readonly cmd: string
  readonly stdin?: string
}

/** Command lines on an empty table, and the listings at the end. */
export interface TextSequence {
  readonly name: string
  readonly steps: readonly TextStep[]
  readonly final: Readonly<Record<string, string>>
}

/** Frames between two commands. */
export interface SentFrames {
  readonly send: string
  readonly from: 'cli' | 'rs'
  readonly count: number
  /** Frames and octets of IP that left to each side. */
  readonly out: Readonly<Record<'rs' | 'cli', readonly [number, number]>>
}

/** A command at its time in seconds, or frames. */
export type TextEvent = SentFrames | (TextStep & { readonly t: number })

/** Commands and frames on one director. */
export interface TextRun {
  readonly name: string
  readonly dests: readonly string[]
  readonly events: readonly TextEvent[]
}

/** Why a director does not do what a sequence asks for, if it does not. */
export function textNotCovered({ steps }: TextSequence): string | undefined {
  // The refusals of both are compared where a sequence expects nothing else of them.
  if (steps.some(({ cmd, rc }) => rc === 0 && cmd.includes('--start-daemon'))) return 'synchronisation daemon'
  if (steps.some(({ cmd, rc }) => rc === 0 && cmd.includes('--pe '))) return 'persistence engine sip'
  return undefined
}

/** Replays one sequence; returns the differences, readable. */
export async function replayText({ steps, final }: TextSequence): Promise<string[]> {
  const shell = await Shell.open(labDirector())
  try {
    const differences: string[] = []
    for (const step of steps) {
      differences.push(...compareEnds(step.cmd, await shell.run(step.cmd, step.stdin), step))
    }
    for (const [options, stdout] of Object.entries(final)) {
      const cmd = `ipvsadm ${options}`
      const found = compareEnds(cmd, await shell.run(cmd), { rc: 0, stdout, stderr: '' })
      differences.push(...found.map((difference) => `at the end: ${difference}`))
    }
    return differences
  } finally {
    await shell.close()
  }
}
