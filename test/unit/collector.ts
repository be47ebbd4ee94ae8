import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Collects garbage again and again until a promise settles. */
export async function collectingUntil<T>(promise: Promise<T>): Promise<T> {
  const timer = setInterval(collect, 5)
  try {
    return await promise
  } finally {
    clearInterval(timer)
  }
}

/** Collects garbage so many times, in turns of their own. */
export async function collected(times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    collect()
  }
}
