import type { Ended } from './command.ts'

/** Seconds that a recorded "time left" may be less than it should be: read late, and cut off. */
const readLateSeconds = 2
/** Of a connection it is not recorded when within a second its frames were sent. */
const sentEarlierSeconds = 1

/** Compares what a command did with what the recorded one did. */
export function compareEnds(line: string, ended: Ended, recorded: Ended): string[] {
  const differences: string[] = []
  if (ended.rc !== recorded.rc) differences.push(`exit status ${ended.rc}, recorded ${recorded.rc}`)
  if (!sameText(line, ended.stdout, recorded.stdout)) {
    differences.push(both('stdout', ended.stdout, recorded.stdout))
  }
  if (ended.stderr !== recorded.stderr) differences.push(both('stderr', ended.stderr, recorded.stderr))
  return differences.map((difference) => `${line}: ${difference}`)
}

/** Whether a listing is the recorded one. */
export function sameText(line: string, text: string, recorded: string): boolean {
  if (text === recorded) return true
  if (/^ipvsadm .*(?:-c\b|-\w*c\b|--connection)/.test(line)) return sameConnections(text, recorded)
  const unordered = line.includes('--nosort') ? byService : (whole: string) => whole
  const masked = line.includes('--rate') ? withoutRates : (whole: string) => whole
  return masked(unordered(text)) === masked(unordered(recorded))
}

/**
 * Services that are not sorted stand in the order of the kernel's hash table, which it mixes an
 * address of its own into. Their servers stand in list order.
 */
function byService(text: string): string {
  const lines = text.split(/(?<=\n)(?! {2}->)/)
  const titles = lines.findIndex((line) => /^(?:TCP|UDP|SCTP|FWM) /.test(line))
  if (titles === -1) return text
  return [...lines.slice(0, titles), ...lines.slice(titles).toSorted()].join('')
}

/** Averages depend on the moment they are taken at: only their columns count. */
function withoutRates(text: string): string {
  return text.replaceAll(/(?<=^(?:TCP|UDP|SCTP|FWM| {2}->).*?)(?: +\d+[KMGT]?){5}$/gm, (columns) =>
    '#'.repeat(columns.length),
  )
}

/**
 * Connections stand in the order of a hash with a secret; their time left is not exact. The kernel's
 * table was read in pieces, and what a piece ended with may begin the next one, too.
 */
function sameConnections(text: string, recorded: string): boolean {
  const once = recorded.split(/(?<=\n)/).filter((line, at, lines) => line !== lines[at - 1])
  const [ours, theirs] = [rowsOf(text), rowsOf(once.join(''))]
  return (
    ours.length === theirs.length &&
    ours.every((row, at) => {
      const other = theirs[at]
      if (row.rest !== other?.rest) return false
      const late = row.seconds - other.seconds
      return late <= readLateSeconds && late >= -sentEarlierSeconds
    })
  )
}

/** Whether a listing of counters is one that can have been between two others of the same layout. */
export function isBetween(text: string, earlier: string, later: string): boolean {
  const [these, least, most] = [text, earlier, later].map((whole) => whole.split('\n'))
  if (these?.length !== least?.length || these?.length !== most?.length) return false
  return (these ?? []).every((line, at) => {
    const [row, low, high] = [line, least?.[at] ?? '', most?.[at] ?? ''].map(countersOf)
    if (row?.name !== low?.name || row?.name !== high?.name) return false
    return (row?.numbers ?? []).every(
      (number, column) => (low?.numbers[column] ?? 0) <= number && number <= (high?.numbers[column] ?? 0),
    )
  })
}

const units: Readonly<Record<string, number>> = { '': 1, K: 1e3, M: 1e6, G: 1e9, T: 1e12 }

/** A row's name, and its counters as far as their digits say. */
function countersOf(line: string): { name: string; numbers: number[] } {
  const match = /^((?:TCP|UDP|SCTP|FWM| {2}->).*?)((?: +\d+[KMGT]?){5})$/.exec(line)
  const [, name = line, columns = ''] = match ?? []
  const numbers = columns.match(/\d+[KMGT]?/g) ?? []
  return { name, numbers: numbers.map((text) => Number.parseInt(text) * (units[text.at(-1) ?? ''] ?? 1)) }
}

function rowsOf(text: string): { rest: string; seconds: number }[] {
  const rows = text.split(/(?<=\n)/).map((line) => {
    const match = /^(\w+ +)(\d+):(\d\d)( .*\n)$/.exec(line)
    if (!match) return { rest: line, seconds: 0 }
    const [, protocol = '', minutes = '', seconds = '', after = ''] = match
    return { rest: `${protocol}${minutes.length}${after}`, seconds: Number(minutes) * 60 + Number(seconds) }
  })
  return rows.toSorted((left, right) => (left.rest < right.rest ? -1 : left.rest > right.rest ? 1 : 0))
}

function both(what: string, text: string, recorded: string): string {
  const quote = (lines: string): string => `\n      ${lines.trimEnd().replaceAll('\n', '$\n      ')}$`
  return `${what}${quote(text)}\n    recorded${quote(recorded)}`
}
