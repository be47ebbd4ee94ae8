// What the API costs, beside packages that do a part of it.

import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'

import { chosen, command, positive } from '../command-line.ts'
import { machine } from '../machine.ts'
import { changes } from './changes.ts'
import { deciding } from './deciding.ts'
import { frames } from './frames.ts'
import { listing, statistics } from './listings.ts'
import { measure } from './measure.ts'
import { markdown } from './report.ts'
import type { Row, Subject } from './subject.ts'

const names = ['pick', 'frames', 'statistics', 'changes', 'listing'] as const

const usage = `npm run bench -- [OPTION...]

--only SUBJECT,...  of ${names.join(', ')}; all unless given
--seconds S         each case is timed; 1 unless given
--services N        for statistics and changes; 10,000 unless given
--connections N     to list; 1,000,000 unless given
--json FILE         writes the figures there, too`

const options = {
  only: { type: 'string' },
  seconds: { type: 'string', default: '1' },
  services: { type: 'string', default: '10000' },
  connections: { type: 'string', default: '1000000' },
  json: { type: 'string' },
} as const

function version(package_: string): string {
  const require = createRequire(import.meta.url)
  const { version: found } = require(`${package_}/package.json`) as { version: string }
  return `${package_} ${found}`
}

await command(usage, options, async (values) => {
  const seconds = positive('seconds', values.seconds)
  const services = positive('services', values.services)
  const subjects: Record<(typeof names)[number], Subject> = {
    pick: deciding,
    frames,
    statistics: statistics(services),
    changes: changes(services),
    listing: listing(positive('connections', values.connections)),
  }
  const software = [`Node ${process.version}`, ...['hashring', 'consistent-hash'].map(version)]
  process.stdout.write(`${machine()}; ${software.join(', ')}\n`)
  const rows: Row[] = []
  for (const name of chosen('only', values.only, names)) {
    const seen = await measure(subjects[name], seconds)
    process.stdout.write(`\n${markdown(seen)}`)
    rows.push(...seen)
  }
  if (values.json !== undefined) {
    writeFileSync(values.json, `${JSON.stringify({ machine: machine(), software, rows }, null, 2)}\n`)
  }
  return true
})
