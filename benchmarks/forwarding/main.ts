// Forwarding through a director beside what people would use instead, in one run, turn by turn.
//
//     npm run bench:forwarding -- [--only CASE,...] [--rivals NAME,...] [--rounds 5] [--seconds 3]
//         [--out FOLDER] [--check]

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { check } from '../contract.ts'
import { cases } from './cases.ts'
import { groupsOf, picture } from './picture.ts'
import { json, markdown } from './report.ts'
import { rivals, type RivalName } from './rivals.ts'
import { runAll, type Plan } from './run.ts'

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function chosen<Name extends string>(option: string, text: string | undefined, all: readonly Name[]): Name[] {
  if (text === undefined) return [...all]
  const unknown = text.split(',').filter((name) => !all.includes(name as Name))
  if (unknown.length === 0) return text.split(',') as Name[]
  throw new RangeError(`--${option}: there is no ${unknown.join(', ')}; there are ${all.join(', ')}`)
}

function positive(option: string, text: string): number {
  const value = Number(text)
  if (value > 0) return value
  throw new RangeError(`--${option} is ${text}; a number above 0 is allowed`)
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      rivals: { type: 'string' },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      out: { type: 'string', default: 'target/forwarding' },
      check: { type: 'boolean', default: false },
    },
  })
  const plan: Plan = {
    cases: chosen('only', values.only, Object.keys(cases)),
    rivals: chosen('rivals', values.rivals, Object.keys(rivals) as RivalName[]),
    rounds: positive('rounds', values.rounds),
    seconds: positive('seconds', values.seconds),
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
  return missed.length === 0 || !values.check
}

process.exitCode = (await main()) ? 0 : 1
