import { readFile } from 'node:fs/promises'

/** Either of them lets a process load programs into the kernel. */
export const capabilities = { CAP_SYS_ADMIN: 21n, CAP_BPF: 39n }

/** Whether the kernel lets this process load programs: not in a user namespace of its own. */
export async function isPermitted(): Promise<boolean> {
  const status = await readFile('/proc/self/status', 'utf8')
  const effective = BigInt(`0x${/^CapEff:\s*(\w+)$/m.exec(status)?.[1] ?? '0'}`)
  const namespace = await readFile('/proc/self/uid_map', 'utf8')
  const isInitial = /^\s*0\s+0\s+4294967295\s*$/.test(namespace)
  return isInitial && Object.values(capabilities).some((bit) => (effective & (1n << bit)) !== 0n)
}
