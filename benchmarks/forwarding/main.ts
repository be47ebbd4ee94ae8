// Forwarding through a director beside what people would use instead, in one run, turn by turn.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { chosen, command, positive } from '../command-line.ts'
import { check } from '../contract.ts'
import { cases } from './cases.ts'
import { groupsOf, picture } from './picture.ts'
import { json, markdown } from './report.ts'
import { rivals, type RivalName } from './rivals.ts'
import { runAll, type Plan } from './run.ts'

const rivalNames = Object.keys(rivals) as RivalName[]
const usage = `npm run bench:forwarding -- [OPTION...]

--only CASE,...    of ${Object.keys(cases).join(', ')}; all unless given
--rivals NAME,...  of ${rivalNames.join(', ')}; all unless given
--rounds N         turns of each contender in each case; 5 unless given
--seconds S        of a turn; 3 unless given
--quiet N          connections kept beside a flood; 10000 unless given
--out FOLDER       for forwarding.md, .json and .svg; target/forwarding unless given
--check            end with status 1 when a promise is missed, or a connection through the director failed`

const options = {
  only: { type: 'string' },
  rivals: { type: 'string' },
  rounds: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '3' },
  quiet: { type: 'string', default: '10000' },
  out: { type: 'string', default: 'target/forwarding' },
  check: { type: 'boolean', default: false },
} as const

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

await command(usage, options, async (values) => {
  const plan: Plan = {
    cases: chosen('only', values.only, Object.keys(cases)),
    rivals: chosen('rivals', values.rivals, rivalNames),
    rounds: positive('rounds', values.rounds),
    seconds: positive('seconds', values.seconds),
    quiet: positive('quiet', values.quiet),
    progress: print,
  }
  const { results, run } = await runAll(plan)
  const text = markdown(results, run)
  print(`\n${text}`)
  mkdirSync(values.out, { recursive: true })
  writeFileSync(join(values.out, 'forwarding.md'), text)
  writeFileSync(join(values.out, 'forwarding.json'), json(results, run))
  writeFileSync(join(values.out, 'forwarding.svg'), picture(groupsOf(results)))
  print(`written: ${values.out}/forwarding.md, .json, .svg`)
  const missed = check(results).filter(({ isKept }) => !isKept)
  for (const { name, bound, seen } of missed)
    print(`missed: ${name} is ${seen?.toFixed(3)}, promised ${bound}`)
  const failed = results.failures.filter(({ rival }) => rival === 'director')
  return missed.length + failed.length === 0 || !values.check
})
