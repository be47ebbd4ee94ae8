// Sets up what is missing, runs every test suite, and says what came of each.
// Usage: node scripts/test.mjs [SUITE...]
import { main, StepError } from './process.mjs'
import { setUp } from './set-up.mjs'
import { suites } from './suites.mjs'

function line({ name, passed, failed, couldNotRun, why }) {
  const note = couldNotRun ? `could not run: ${couldNotRun}` : (why ?? '')
  return `${name.padEnd(12)} ${String(passed).padStart(6)} passed ${String(failed).padStart(6)} failed  ${note}`.trimEnd()
}

function summary(results) {
  const total = (field) => results.reduce((count, result) => count + result[field], 0)
  const missing = results.filter((result) => result.couldNotRun).length
  const tail = missing > 0 ? `, ${missing} ${missing === 1 ? 'suite' : 'suites'} could not run` : ''
  return [...results.map(line), `${total('passed')} passed, ${total('failed')} failed${tail}`].join('\n')
}

await main(async () => {
  const wanted = process.argv.slice(2)
  const unknown = wanted.filter((name) => !Object.hasOwn(suites, name))
  if (unknown.length > 0)
    throw new StepError(`no such suite: ${unknown.join(', ')} (${Object.keys(suites).join(', ')})`)
  setUp()
  const results = []
  for (const [name, run] of Object.entries(suites)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    process.stdout.write(`\n== ${name}\n`)
    results.push(await run())
  }
  process.stdout.write(`\n${summary(results)}\n`)
  const couldNotRun = results.some((result) => result.couldNotRun)
  if (couldNotRun && process.env.CI === 'true') process.stdout.write('under CI=true every suite has to run\n')
  return results.some((result) => result.failed > 0) || (couldNotRun && process.env.CI === 'true') ? 1 : 0
})
