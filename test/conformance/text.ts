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

/** What is different in a sequence, readable, and how many of its steps a director refuses by design. */
export interface TextOutcome {
  readonly differences: readonly string[]
  readonly refused: number
}

const noDaemon: Ended = {
  rc: 255,
  stdout: '',
  stderr:
    'A director has no synchronisation daemon: directors with the same configuration place and adopt ' +
    'connections alike without one\n',
}

/**
 * How a step has to end where a director has no synchronisation daemon, by design; none where that
 * changes nothing: parse errors, listings of nothing and the end of what does not run are as recorded.
 */
function withoutDaemon({ cmd, rc, stdout }: TextStep): Ended | undefined {
  const isParseError = rc === 2
  if (/--start-daemon (master|backup)/.test(cmd) && !isParseError) return noDaemon
  if (cmd.includes('--stop-daemon') && rc === 0)
    return { rc: 255, stdout: '', stderr: 'No daemon is running\n' }
  if (cmd === 'ipvsadm -L --daemon' && stdout !== '') return { rc: 0, stdout: '', stderr: '' }
  return undefined
}

/** Replays one sequence. */
export async function replayText({ steps, final }: TextSequence): Promise<TextOutcome> {
  const shell = await Shell.open(labDirector())
  try {
    const differences: string[] = []
    let refused = 0
    for (const step of steps) {
      const byDesign = withoutDaemon(step)
      if (byDesign) refused += 1
      differences.push(...compareEnds(step.cmd, await shell.run(step.cmd, step.stdin), byDesign ?? step))
    }
    for (const [options, stdout] of Object.entries(final)) {
      const cmd = `ipvsadm ${options}`
      const found = compareEnds(cmd, await shell.run(cmd), { rc: 0, stdout, stderr: '' })
      differences.push(...found.map((difference) => `at the end: ${difference}`))
    }
    return { differences, refused }
  } finally {
    await shell.close()
  }
}
