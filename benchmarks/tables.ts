// Ten thousand services with ten servers each: what commands take, and what edits do to packets.

import { Director } from '../lib/index.ts'
import { Shell } from '../test/conformance/command.ts'
import { command, positive } from './command-line.ts'
import { EditedDirector, type Turn } from './edits.ts'
import { largeServices, restoreLines } from './large-table.ts'
import { median, spread } from './quantiles.ts'

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/**
 * Runs commands, each after what prepares it, prints what they took, and answers with the median in
 * milliseconds.
 */
async function timed(
  shell: Shell,
  title: string,
  lines: readonly string[],
  input = '',
  prepare: () => Promise<unknown> = async () => undefined,
): Promise<number> {
  const took: number[] = []
  for (const line of lines) {
    await prepare()
    const begun = performance.now()
    const { rc, stderr } = await shell.run(line, input)
    took.push(performance.now() - begun)
    if (rc !== 0 || stderr !== '') throw new Error(`${line} ended with ${rc}: ${stderr.slice(0, 300)}`)
  }
  print(`  ${title.padEnd(34)} ${spread(took)} ms, ${lines.length} times`)
  return median(took)
}

function times(count: number, line: string): string[] {
  return Array.from({ length: count }, () => line)
}

async function commands(): Promise<void> {
  const services = largeServices()
  const shell = await Shell.open(Director.offline({ connections: 1024 }))
  try {
    print('commands, from start of the process to its end; median (smallest to largest)')
    const empty = await timed(shell, 'list an empty table', times(20, 'ipvsadm -L -n'))
    await shell.run('ipvsadm -R', restoreLines(services.slice(0, 10)))
    const small = await timed(shell, 'list 10 services', times(20, 'ipvsadm -L -n'))
    print(`  target for these two: 15 ms${Math.max(empty, small) < 15 ? '' : ', missed'}`)
    const all = restoreLines(services)
    const clear = (): Promise<unknown> => shell.run('ipvsadm -C')
    await timed(shell, 'load 10,000 services (-R)', times(3, 'ipvsadm -R'), all, clear)
    await timed(shell, 'list all (-L -n)', times(5, 'ipvsadm -L -n'))
    await timed(shell, 'save all (-S -n)', times(5, 'ipvsadm -S -n'))
    const edits = services.slice(5000, 5020).map(({ address, port, servers: [server] }, index) => {
      return `ipvsadm -e -t ${address}:${port} -r ${server}:${port} -i -w ${2 + (index % 7)}`
    })
    await timed(shell, 'one edit (-e)', edits)
    await timed(shell, 'list one service (-L -n -t)', times(20, 'ipvsadm -L -n -t 198.18.0.51:1000'))
  } finally {
    await shell.close()
  }
}

function describe(name: string, turns: readonly Turn[]): string {
  const of = (figure: (turn: Turn) => number): string => spread(turns.map(figure))
  return `  ${name.padEnd(14)} p50 ${of((turn) => turn.p50)}, p99 ${of((turn) => turn.p99)}, slowest ${of((turn) => turn.slowest)}`
}

async function edits(rounds: number, seconds: number): Promise<void> {
  print('\nrequests through a live director with 10,000 services; loading them')
  const director = await EditedDirector.start(largeServices())
  try {
    const quiet: Turn[] = []
    const edited: Turn[] = []
    for (let round = 1; round <= rounds; round++) {
      quiet.push(await director.turn(seconds, false))
      edited.push(await director.turn(seconds, true))
      print(`  round ${round} of ${rounds}`)
    }
    const p99 = (turns: readonly Turn[]): number => median(turns.map((turn) => turn.p99))
    const took = edited.flatMap((turn) => turn.edits)
    print('milliseconds from request to answer; median of the rounds (smallest to largest)')
    print(describe('without edits', quiet))
    print(describe('with edits', edited))
    print(
      `  p99: ${(p99(edited) - p99(quiet)).toFixed(3)} ms added, x ${(p99(edited) / p99(quiet)).toFixed(2)}`,
    )
    print(
      `  ${took.length} edits, one every 50 ms or as soon as the one before is done: ${spread(took)} ms each`,
    )
  } finally {
    await director.close()
  }
}

const usage = `npm run bench:tables -- [OPTION...]

--rounds N   turns without and with edits; 3 unless given
--seconds S  of a turn; 8 unless given`

const options = {
  rounds: { type: 'string', default: '3' },
  seconds: { type: 'string', default: '8' },
} as const

await command(usage, options, async (values) => {
  const [rounds, seconds] = [positive('rounds', values.rounds), positive('seconds', values.seconds)]
  await commands()
  await edits(rounds, seconds)
  return true
})
