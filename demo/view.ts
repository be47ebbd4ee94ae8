import { bold, cyan, dim, green, inverse, magenta, padEnd, padStart, red, yellow } from './ansi.ts'
import type { Cell, DirectorTally } from './director-tally.ts'
import type { Entry, Journal } from './journal.ts'
import type { Step, Timeline } from './timeline.ts'
import { total, type LongTally } from './traffic-tally.ts'
import { serverName, size, type World } from './world.ts'

const labelColumns = 13
const cellColumns = 18
const serverColours = [cyan, magenta, yellow] as const
const bars = ' ▁▂▃▄▅▆▇█'
// An adoption lights up for so many frames.
const glowFrames = 15

const whole = new Intl.NumberFormat('en')

/** Draws the world as lines of text; one instance follows it from frame to frame. */
export class View {
  readonly #glow = new Map<number, { adopted: number; frames: number }>()

  /** One frame, not more than `rows` lines. */
  lines(world: World | undefined, timeline: Timeline, journal: Journal, rows: number): string[] {
    const top = [...header(timeline), '']
    if (world !== undefined) top.push(...this.#directors(world), '', ...clients(world), '')
    const room = Math.max(1, rows - top.length)
    return [...top, ...journal.entries.slice(-room).map(entry)]
  }

  #directors(world: World): string[] {
    const busiest = Math.max(
      1,
      ...world.directors.flatMap(({ cells }) => cells.map((cell) => cell.packetsPerSecond)),
    )
    return [
      serverHeads(world),
      ...world.directors.map((director) => this.#director(director, busiest)),
      clientsSee(world),
    ]
  }

  #director(director: DirectorTally, busiest: number): string {
    const mark = { starting: yellow('…'), forwarding: green('●'), killed: red('✗') }[director.state]
    const label = padEnd(` ${mark} director ${director.index}`, labelColumns)
    if (director.state === 'killed')
      return label + padEnd(red('  killed'), cellColumns * size.servers) + this.#adopted(director)
    const cells = director.cells.map((cell, index) => coloured(index, cellText(cell, busiest)))
    return label + cells.map((cell) => padEnd(cell, cellColumns)).join('') + this.#adopted(director)
  }

  #adopted(director: DirectorTally): string {
    const before = this.#glow.get(director.index) ?? { adopted: 0, frames: 0 }
    const frames = director.adopted > before.adopted ? glowFrames : Math.max(0, before.frames - 1)
    this.#glow.set(director.index, { adopted: director.adopted, frames })
    const text = `${whole.format(director.adopted)} adopted`
    return frames > 0 ? inverse(` ${text} `) : ` ${text}`
  }
}

function header(timeline: Timeline): string[] {
  const columns = 72
  const filled = Math.round(timeline.progress * columns)
  const clock = `${timeline.elapsed.toFixed(1)} s of ${timeline.seconds}`
  const title = ` ${bold('l4-director')}  ${size.directors} directors share no state`
  return [
    `${padEnd(title, columns - clock.length)} ${dim(clock)}`,
    ` ${green('━'.repeat(filled))}${dim('─'.repeat(columns - filled))}`,
    ` ${timeline.steps.map(stepText).join(' ')}`,
  ]
}

function stepText({ title, state }: Step): string {
  if (state === 'running') return inverse(` ${title} `)
  return state === 'done' ? `${green('✓')} ${title}` : dim(title)
}

function serverHeads(world: World): string {
  const heads = Array.from({ length: size.servers }, (_, index) => {
    const paused = world.paused.has(index + 1) ? ' ‖ paused' : ''
    return padEnd(coloured(index, bold(`  server ${index + 1}${paused}`)), cellColumns)
  })
  return ' '.repeat(labelColumns) + heads.join('')
}

function cellText({ active, packetsPerSecond }: Cell, busiest: number): string {
  const level = Math.ceil((packetsPerSecond / busiest) * (bars.length - 1))
  const bar = bars[Math.min(level, bars.length - 1)] ?? ' '
  return `${padStart(String(active), 5)} ${bar} ${padStart(packetsPerSecond.toFixed(0), 4)} p/s`
}

function clientsSee({ long }: World): string {
  const cells = Array.from({ length: size.servers }, (_, index) => {
    const open = long.servers[serverName(index + 1)] ?? 0
    return padEnd(coloured(index, `${padStart(String(open), 5)} long-lived`), cellColumns)
  })
  return padEnd(dim('   clients'), labelColumns) + cells.join('')
}

function clients({ long, short, associations }: World): string[] {
  const median = short.medianMs === undefined ? '' : `, median ${short.medianMs.toFixed(1)} ms`
  const shortLine = [
    ` ${padEnd('TCP short', 12)}`,
    `${padStart(whole.format(short.done), 6)} done`,
    alarm(total(short.failed), 'broken'),
    alarm(short.refused, 'refused'),
    dim(`${short.perSecond.toFixed(0)}/s${median}`),
  ]
  return [longLine('TCP long', long), shortLine.join('  '), longLine('SCTP', associations)]
}

function longLine(label: string, tally: LongTally): string {
  const rate = `${tally.recordsPerSecond.toFixed(0)} checked requests/s`
  const parts = [
    ` ${padEnd(label, 12)}`,
    `${padStart(whole.format(tally.up), 6)} open`,
    alarm(tally.broken, 'broken'),
    `${padStart(String(tally.closed), 5)} closed `,
    dim(`${rate}, ${whole.format(tally.records)} so far`),
  ]
  return parts.join('  ')
}

function alarm(count: number, what: string): string {
  const text = `${padStart(String(count), 5)} ${padEnd(what, 7)}`
  return count === 0 ? green(text) : bold(red(text))
}

/** One line of the journal. */
export function entry({ seconds, text, kind }: Entry): string {
  const time = dim(padStart(`${seconds.toFixed(1)} s`, 8))
  const mark = { step: bold('▶'), note: ' ', bad: red('!') }[kind]
  return `${time} ${mark} ${kind === 'bad' ? red(text) : text}`
}

function coloured(server: number, text: string): string {
  return (serverColours[server % serverColours.length] ?? cyan)(text)
}
