import type { Namespace } from '../lab/namespace.ts'
import { hostInterface } from '../lab/topology.ts'

/** Ingress filters of a director's interface; more than none while it guards. */
export async function guardFilters(host: Namespace): Promise<string[]> {
  const text = await host.run('tc', 'filter', 'show', 'dev', hostInterface, 'ingress')
  return text.split('\n').filter((line) => line.includes('bpf') && line.includes('handle'))
}

/** Whether the interface has the hook that filters hang on. */
export async function hasFilterHook(host: Namespace): Promise<boolean> {
  return (await host.run('tc', 'qdisc', 'show', 'dev', hostInterface)).includes('clsact')
}
