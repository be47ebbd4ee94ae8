// Times the cases of a subject, once their answers were found right.

import { Bench } from 'tinybench'

import type { Row, Subject } from './subject.ts'

const microseconds = 1000
const megaoctet = 1e6

/** Octets the process has in memory now. */
function resident(): number {
  return process.memoryUsage.rss()
}

/** Times each case for so many seconds, three times at least. */
export async function measure({ title, prepare }: Subject, seconds: number): Promise<Row[]> {
  const rows: Row[] = []
  for (const { name, run, isRight, items = 1 } of prepare()) {
    const answer = run()
    if (!isRight(answer)) throw new Error(`${title}, ${name}: the answer is wrong: ${JSON.stringify(answer)}`)
    const before = resident()
    const bench = new Bench({ time: seconds * 1000, iterations: 3, warmup: false, throws: true })
    const [task] = await bench.add(name, () => void run()).run()
    if (task?.result.state !== 'completed') throw new Error(`${title}, ${name}: ${task?.result.state}`)
    const { p50, p99 } = task.result.latency
    const grown = (resident() - before) / megaoctet
    const latency = { p50: p50 * microseconds, p99: p99 * microseconds }
    rows.push({ subject: title, name, ...latency, times: task.runs, items, grown })
  }
  return rows
}
