import { cpus, release } from 'node:os'

/** The machine, as text. */
export function machine(): string {
  const [processor] = cpus()
  return `${cpus().length} x ${processor?.model ?? 'unknown processor'}, Linux ${release()}`
}
