import { parseArgs } from 'node:util'

/** What the demo was asked to do. */
export interface DemoOptions {
  /** Whether directors adopt connections mid-stream. */
  readonly sloppy: boolean
  /** Whether new connections of a paused server go elsewhere. */
  readonly fallback: boolean
  /** Print lines instead of a live screen. */
  readonly plain: boolean
  /** How long the timeline is, from the first step to the last. */
  readonly seconds: number
}

export const usage = `npm run demo -- [options]

  --no-sloppy     directors do not adopt connections mid-stream: connections break, status 1
  --no-fallback   new connections of a paused server are refused: status 1
  --fast          the same steps in 18 seconds
  --seconds N     the same steps in N seconds (10 to 3600; default 36)
  --plain         lines instead of a live screen (the default when this is no terminal)
  --help          this text`

const secondsDefault = 36
const secondsFast = 18

/**
 * Reads the command line; `undefined` when help was asked for.
 *
 * @throws TypeError or RangeError with a text for the user
 */
export function parseOptions(words: string[]): DemoOptions | undefined {
  const { values } = parseArgs({
    args: words,
    allowPositionals: false,
    options: {
      'no-sloppy': { type: 'boolean', default: false },
      'no-fallback': { type: 'boolean', default: false },
      fast: { type: 'boolean', default: false },
      plain: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      seconds: { type: 'string' },
    },
  })
  if (values.help) return undefined
  const seconds = Number(values.seconds ?? (values.fast ? secondsFast : secondsDefault))
  if (!(seconds >= 10 && seconds <= 3600)) {
    throw new RangeError(`--seconds ${values.seconds} is not a number from 10 to 3600`)
  }
  return {
    sloppy: !values['no-sloppy'],
    fallback: !values['no-fallback'],
    plain: values.plain || !process.stdout.isTTY,
    seconds,
  }
}
