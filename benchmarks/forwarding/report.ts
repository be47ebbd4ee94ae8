// A run as Markdown and as JSON.

import { check } from '../contract.ts'
import { machine } from '../machine.ts'
import { median, spread } from '../quantiles.ts'
import { cases, type Figure } from './cases.ts'
import { ratiosOf, type Results } from './results.ts'
import { rivals, type RivalName } from './rivals.ts'

/** What a run was. */
export interface Run {
  readonly rounds: number
  readonly seconds: number
  /** Contenders that could not run, and why. */
  readonly absent: ReadonlyMap<string, string>
}

/** What a figure is. */
export function figureOf(name: string): Figure & { readonly of: string } {
  const [caseName = '', figureName = ''] = name.split('.')
  const found = cases[caseName]
  const figure = found?.figures[figureName]
  if (found === undefined || figure === undefined) throw new RangeError(`no figure ${name}`)
  return { ...figure, of: found.title }
}

/** The title of a contender. */
export function titleOf(rival: string): string {
  return rivals[rival as RivalName].title
}

function tableOf(results: Results, name: string): string {
  const { title, unit, of } = figureOf(name)
  const own = results.rounds(name, 'director')
  const lines = results.rivals(name).map((rival) => {
    const rounds = results.rounds(name, rival)
    const ratios = rival === 'director' || own.length === 0 ? '' : spread(ratiosOf(own, rounds))
    return `| ${titleOf(rival)} | ${spread(rounds)} | ${ratios} |`
  })
  const heading = `**${of}**: ${title}, ${unit}`
  return [heading, '', `| \`${name}\` | ${unit} | director over it |`, '|---|---|---|', ...lines].join('\n')
}

function promises(results: Results): string {
  const lines = check(results).map(({ name, bound, seen, isKept }) => {
    const verdict = seen === undefined ? 'not measured' : isKept ? 'kept' : '**missed**'
    return `| ${name} | ${bound} | ${seen?.toFixed(2) ?? ''} | ${verdict} |`
  })
  return ['| promise | bound | seen | |', '|---|---|---|---|', ...lines].join('\n')
}

function failuresOf({ failures }: Results): string {
  const lines = failures.map(
    ({ case: name, rival, round, what }) =>
      `- failed: \`${name}\`, ${titleOf(rival)}, round ${round}: ${what}`,
  )
  return lines.join('\n')
}

/** Tables of all figures, connections that failed, and the contract. */
export function markdown(results: Results, { rounds, seconds, absent }: Run): string {
  const head = `${machine()}; ${rounds} rounds of ${seconds} s; median (smallest to largest); ratios round by round`
  const missing = [...absent].map(([rival, why]) => `- not there: ${titleOf(rival)}: ${why}`)
  const tables = results.figures.map((name) => tableOf(results, name))
  return `${[head, missing.join('\n'), ...tables, failuresOf(results), promises(results)].filter(Boolean).join('\n\n')}\n`
}

/** The same for programs. */
export function json(results: Results, { absent, ...run }: Run): string {
  const figures = results.figures.map((name) => {
    const own = results.rounds(name, 'director')
    const contenders = results.rivals(name).map((rival) => {
      const rounds = results.rounds(name, rival)
      const ratios = ratiosOf(own, rounds)
      return { rival, rounds, median: median(rounds), directorOver: summary(ratios) }
    })
    return { figure: name, ...figureOf(name), contenders }
  })
  const contract = check(results).map(({ name, bound, seen, isKept }) => ({
    name,
    bound,
    seen: seen ?? null,
    kept: seen === undefined ? null : isKept,
  }))
  const all = {
    machine: machine(),
    ...run,
    absent: Object.fromEntries(absent),
    figures,
    failures: results.failures,
    contract,
  }
  return `${JSON.stringify(all, undefined, 2)}\n`
}

function summary(ratios: readonly number[]): object | null {
  if (ratios.length === 0) return null
  return { median: median(ratios), smallest: Math.min(...ratios), largest: Math.max(...ratios) }
}
