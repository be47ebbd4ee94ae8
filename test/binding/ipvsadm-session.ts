import { Director, type OfflineDirector } from '../../lib/index.ts'
import { type Ended, Shell } from '../conformance/command.ts'

/** Runs command lines on a fresh director; a pair is a line and its input. */
export async function session(
  lines: readonly (string | readonly [string, string])[],
  prepare: (director: OfflineDirector) => void = () => undefined,
): Promise<Ended[]> {
  const director = Director.offline({ connections: 1024 })
  prepare(director)
  const shell = await Shell.open(director)
  try {
    const ended: Ended[] = []
    for (const line of lines)
      ended.push(await (typeof line === 'string' ? shell.run(line) : shell.run(...line)))
    return ended
  } finally {
    await shell.close()
  }
}

/** A change that succeeds. */
export const silent: Ended = { rc: 0, stdout: '', stderr: '' }
