import test from 'ava'
import { LogOutput } from '../../lib/daemon/log-output.ts'
import type { LineSink } from '../../lib/daemon/log-output.ts'

test('a log that cannot be written is told once, and when it is over with what is missing', (t) => {
  const told: string[] = []
  const taken: string[] = []
  let fault: Error | undefined
  const sink: LineSink = {
    write: (text, written) => {
      if (fault === undefined) taken.push(text)
      written(fault)
    },
  }
  const output = new LogOutput(sink, (text) => told.push(text))
  output.write('one\n')
  fault = new Error('write ENOSPC')
  for (const line of ['two\n', 'three\n']) output.write(line)
  t.deepEqual(told, ['the log cannot be written: write ENOSPC; the director goes on without it\n'])
  fault = undefined
  output.write('four\n')
  output.write('five\n')
  t.deepEqual(told.slice(1), ['the log is written again; lines that are missing: 2\n'])
  t.deepEqual(taken, ['one\n', 'four\n', 'five\n'])
})
