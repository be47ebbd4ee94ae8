interface Watched {
  readonly waiting: Set<() => void>
  readonly listener: () => void
}

/** However many wait for a signal, it has one listener, and none when nobody does. */
const watched = new WeakMap<AbortSignal, Watched>()

/**
 * Calls `aborted` once when a signal is aborted, also when it is already; answers with how not to.
 * Nothing is kept of a signal that outlives the wait. `AbortSignal.any()` would keep something, and
 * Node.js 20 may collect its sources before they abort.
 */
export function onAbort(signal: AbortSignal | undefined, aborted: () => void): () => void {
  if (signal === undefined) return () => undefined
  if (signal.aborted) {
    aborted()
    return () => undefined
  }
  const { waiting, listener } = watched.get(signal) ?? watch(signal)
  // The same function may wait twice.
  const entry = (): void => aborted()
  waiting.add(entry)
  return () => {
    waiting.delete(entry)
    if (waiting.size > 0 || watched.get(signal)?.waiting !== waiting) return
    signal.removeEventListener('abort', listener)
    watched.delete(signal)
  }
}

function watch(signal: AbortSignal): Watched {
  const waiting = new Set<() => void>()
  const listener = (): void => {
    watched.delete(signal)
    for (const entry of waiting) entry()
  }
  const made = { waiting, listener }
  watched.set(signal, made)
  signal.addEventListener('abort', listener, { once: true })
  return made
}

/** Resolves after a time, or as soon as one of the signals is aborted. */
export function pause(milliseconds: number, ...signals: readonly (AbortSignal | undefined)[]): Promise<void> {
  return new Promise((resolve) => {
    if (signals.some((signal) => signal?.aborted)) return resolve()
    const end = (): void => {
      clearTimeout(timer)
      for (const release of releases) release()
      resolve()
    }
    const timer = setTimeout(end, milliseconds)
    const releases = signals.map((signal) => onAbort(signal, end))
  })
}
