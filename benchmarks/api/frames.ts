// Frames across the binding, one by one and many in a call.

import type { OfflineResult } from '../../lib/index.ts'
import { ACK, SYN } from '../../test/binding/frames.ts'
import { frameOf, webDirector } from './directors.ts'
import type { Subject } from './subject.ts'

const flows = 1024
const batch = 64
const connections = 1 << 20

function isForwarded(answer: unknown): boolean {
  const { verdict, frames } = answer as OfflineResult
  return verdict === 'forward' && frames.length === 1
}

function areForwarded(answers: unknown): boolean {
  return (answers as OfflineResult[]).length === batch && (answers as OfflineResult[]).every(isForwarded)
}

export const frames: Subject = {
  title: 'process frames',
  prepare: () => {
    const director = webDirector(connections)
    const known = Array.from({ length: flows }, (_, number) => {
      director.process(frameOf(number, SYN))
      return frameOf(number, ACK)
    })
    let next = 0
    const one = (): OfflineResult => director.process(known[next++ % flows] as Buffer)
    const batches = Array.from({ length: flows / batch }, (_, index) => {
      return known.slice(index * batch, (index + 1) * batch)
    })
    const single = (): OfflineResult[] => Array.from({ length: batch }, one)
    const together = (): OfflineResult[] => director.processAll(batches[next++ % batches.length] as Buffer[])
    let fresh = flows
    const first = (): OfflineResult => director.process(frameOf(fresh++, SYN))
    return [
      { name: 'one of a known connection', run: one, isRight: isForwarded },
      {
        name: `${batch} of known connections, a call each`,
        run: single,
        isRight: areForwarded,
        items: batch,
      },
      {
        name: `${batch} of known connections, in one call`,
        run: together,
        isRight: areForwarded,
        items: batch,
      },
      { name: 'the first of a connection, made in JavaScript', run: first, isRight: isForwarded },
    ]
  },
}
