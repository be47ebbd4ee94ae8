import test from 'ava'

import { readlink } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

import { LabProcess } from '../lab/lab-process.ts'

const program = fileURLToPath(new URL('lab-owner.ts', import.meta.url))

/** The network namespace of a process; `undefined` when the process is gone. */
async function networkOf(pid: number): Promise<string | undefined> {
  return readlink(`/proc/${pid}/ns/net`).catch(() => undefined)
}

for (const signal of ['SIGKILL', 'SIGINT'] as const) {
  test(`nothing of a lab is left when its owner ends by ${signal}`, async (t) => {
    const owner = new LabProcess('owner', [process.execPath, '--import', 'tsx', program])
    const { pids } = (await owner.message('ready')) as unknown as { readonly pids: readonly number[] }
    t.is(pids.length, 2)
    for (const pid of pids) t.not(await networkOf(pid), await networkOf(process.pid))
    await owner.kill(signal)
    // The kernel ends them, but not before it has delivered the signal.
    const left = async (): Promise<boolean> => (await Promise.all(pids.map(networkOf))).some(Boolean)
    while (await left()) await new Promise((resolve) => setImmediate(resolve))
    t.pass()
  })
}
