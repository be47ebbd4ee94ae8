import { total, type LongTally } from './traffic-tally.ts'
import { serverName, size, type World } from './world.ts'

/** What the demo found. */
export interface Result {
  /** Connections that were open and broke, or carried wrong data. */
  readonly broken: number
  /** New connections that were refused or never answered. */
  readonly refused: number
}

const causesOfRefusal = ['connect-refused', 'connect-timeout', 'connect-unreachable']

/** Adds up what went wrong, whichever program saw it. */
export function resultOf(world: World): Result {
  const causes = [world.long.causes, world.associations.causes, world.short.failed]
  const all = causes.reduce((sum, counts) => sum + total(counts), 0)
  const refused = causes.reduce((sum, counts) => sum + refusals(counts), 0)
  return { broken: all - refused + world.serverErrors, refused: refused + world.short.refused }
}

/** The final table. */
export function report(world: World): string {
  const { long, short, associations } = world
  const { broken, refused } = resultOf(world)
  const lines = [
    row('', 'opened', 'broken', 'refused', ...serverNumbers().map(serverName)),
    row('TCP, long-lived', ...longCells(long)),
    row('TCP, short', short.done + total(short.failed), ...shortCells(world)),
    row('SCTP', ...longCells(associations)),
    '',
    row('', 'adopted', 'forwarded', '', ...serverNumbers().map(serverName)),
    ...world.directors.map((director) =>
      row(
        `director ${director.index}`,
        director.adopted,
        director.forwarded,
        '',
        ...director.cells.map((cell) => cell.packets),
      ),
    ),
    '     (frames; per server: since the director was last started)',
    '',
    `${broken} broken, ${refused} refused of ${openedBy(world)} connections`,
  ]
  const causes = { ...long.causes, ...associations.causes, ...short.failed }
  const why = Object.keys(causes).map((name) => `${name}: ${sumOf(world, name)}`)
  const causesLine = why.length > 0 ? [`causes: ${why.join(', ')}`] : []
  return [...lines, ...causesLine, ...world.cluster.accidents].join('\n')
}

function longCells(tally: LongTally): (number | string)[] {
  const refused = refusals(tally.causes)
  const opened = tally.up + tally.broken + tally.closed - refused
  return [opened, tally.broken - refused, refused, ...perServer(tally.servers)]
}

function shortCells({ short }: World): (number | string)[] {
  const refused = refusals(short.failed)
  return [total(short.failed) - refused, short.refused + refused, ...perServer(short.servers)]
}

function openedBy({ long, short, associations }: World): number {
  const lasting = [long, associations].map((tally) => tally.up + tally.broken + tally.closed)
  return lasting.reduce((sum, count) => sum + count, short.done + short.refused + total(short.failed))
}

function sumOf({ long, short, associations }: World, cause: string): number {
  return [long.causes, associations.causes, short.failed].reduce(
    (sum, counts) => sum + (counts[cause] ?? 0),
    0,
  )
}

function refusals(counts: Readonly<Record<string, number>>): number {
  return causesOfRefusal.reduce((sum, cause) => sum + (counts[cause] ?? 0), 0)
}

function serverNumbers(): number[] {
  return Array.from({ length: size.servers }, (_, index) => index + 1)
}

function perServer(counts: Readonly<Record<string, number>>): number[] {
  return serverNumbers().map((index) => counts[serverName(index)] ?? 0)
}

function row(label: string, ...cells: readonly (number | string)[]): string {
  return label.padEnd(18) + cells.map((cell) => String(cell).padStart(10)).join('')
}
