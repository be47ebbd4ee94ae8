import type { Message } from '../test/lab/lab-process.ts'
import type { Journal } from './journal.ts'

/** What a director tells of adopted connections. */
interface Adopted {
  readonly cause: string
  readonly count: number
}

const gatherMs = 500

/** Turns many `adopted` events into one journal entry a director and half second. */
export class AdoptionNotes {
  readonly #journal: Journal
  readonly #gathering = new Map<number, Map<string, number>>()

  constructor(journal: Journal) {
    this.#journal = journal
  }

  /** Takes a message of a director in. */
  observe(director: number, message: Message): void {
    if (message.event !== 'happened') return
    if (message['name'] === 'error') this.#journal.add(`director ${director}: ${text(message)}`, 'bad')
    if (message['name'] !== 'adopted') return
    const { cause, count } = message['details'] as Adopted
    const causes = this.#gathering.get(director) ?? this.#begin(director)
    causes.set(cause, (causes.get(cause) ?? 0) + count)
  }

  #begin(director: number): Map<string, number> {
    const causes = new Map<string, number>()
    this.#gathering.set(director, causes)
    setTimeout(() => this.#tell(director), gatherMs).unref()
    return causes
  }

  #tell(director: number): void {
    const causes = [...(this.#gathering.get(director) ?? [])]
    this.#gathering.delete(director)
    const total = causes.reduce((sum, [, count]) => sum + count, 0)
    const detail = causes.map(([cause, count]) => `${count} by ${cause}`).join(', ')
    this.#journal.add(`director ${director} adopted ${total} connections mid-stream (${detail})`)
  }
}

function text(message: Message): string {
  const details = message['details'] as { readonly message?: string } | undefined
  return details?.message ?? 'an error without a message'
}
