// Rows as Markdown.

import type { Row } from './subject.ts'

function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

/** One table for each subject. */
export function markdown(rows: readonly Row[]): string {
  const subjects = [...new Set(rows.map(({ subject }) => subject))]
  const tables = subjects.map((title) => {
    const lines = rows
      .filter(({ subject }) => subject === title)
      .map(({ name, p50, p99, times, items, grown }) => {
        const each = figure(p50 / items)
        return `| ${name} | ${figure(p50)} | ${figure(p99)} | ${each} | ${times} | ${grown.toFixed(0)} |`
      })
    const heading = `| ${title} | p50 µs | p99 µs | µs for each | times | grown by MB |`
    return [heading, '|---|---|---|---|---|---|', ...lines].join('\n')
  })
  return `${tables.join('\n\n')}\n`
}
