import type { Namespace } from '../lab/namespace.ts'

/** A counter of a host's TCP, by its name in `/proc/net/snmp`: `OutRsts`, `RetransSegs`. */
export async function tcpCounter(host: Namespace, name: string): Promise<number> {
  const text = await host.run('cat', '/proc/net/snmp')
  const rows = text.split('\n').filter((line) => line.startsWith('Tcp:'))
  const [names = [], values = []] = rows.map((line) => line.split(' '))
  return Number(values[names.indexOf(name)])
}
