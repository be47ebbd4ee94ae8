// Statistics of many services, and the listing of many connections, page by page.

import type { ConnectionRow, OfflineDirector, Statistics } from '../../lib/index.ts'
import { SYN } from '../../test/binding/frames.ts'
import { frameOf, keyOf, manyServices, webDirector } from './directors.ts'
import type { Subject } from './subject.ts'

const pageRows = 1024

/** Goes through all connections as a live director's `connections()` does: no page outlives its turn. */
function walk(director: OfflineDirector): number {
  let rows = 0
  for (let cursor: number | null = 0; cursor !== null;) {
    const page = director.connectionPage({}, cursor, pageRows)
    rows += page.rows.length
    cursor = page.next
  }
  return rows
}

/** Snapshots of so many services. */
export function statistics(services: number): Subject {
  return {
    title: `statistics of ${services.toLocaleString('en')} services`,
    prepare: () => {
      const director = webDirector(1024)
      director.apply(manyServices(services))
      const has = (count: number) => (answer: unknown) => (answer as Statistics).services.length === count
      const one = (): unknown => director.snapshot(keyOf(services / 2))
      return [
        { name: 'all', run: () => director.snapshot(), isRight: has(services + 1), items: services },
        { name: 'one of them', run: one, isRight: has(1) },
      ]
    },
  }
}

/** The listing of so many connections. */
export function listing(connections: number): Subject {
  return {
    title: `list ${connections.toLocaleString('en')} connections`,
    prepare: () => {
      const director = webDirector(connections)
      for (let number = 0; number < connections; number++) director.process(frameOf(number, SYN))
      const rows = Math.min(pageRows, connections)
      const page = (): ConnectionRow[] => [...director.connectionPage({}, connections - rows, rows).rows]
      const isPage = (answer: unknown): boolean => (answer as ConnectionRow[]).length === rows
      const isAll = (answer: unknown): boolean => answer === connections
      return [
        { name: `a page of ${rows}`, run: page, isRight: isPage, items: rows },
        { name: 'all, page by page', run: () => walk(director), isRight: isAll, items: connections },
      ]
    },
  }
}
