// Who forwards: the director, and what people would use instead.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'

import { startPeer } from '../../test/lab/peers.ts'
import { ports, virtualAddress, type Site } from './network.ts'
import { haproxy, nginx } from './proxies.ts'

/** What a contender can carry: packets as they are, or TCP connections only. */
export type Traffic = 'packets' | 'connections'

/** A running contender. */
export interface Contender {
  /** Its process, if it is one. */
  readonly pid?: number | undefined
  /** What it last wrote to standard error. */
  readonly complaints?: string
  /** Starts it again, without what it remembers of connections. */
  readonly again?: () => Promise<Contender>
  close(): Promise<unknown>
}

/** Where programs may put their files, and what there is on this machine. */
export interface Surroundings {
  readonly folder: string
  /** The program `nft`, wherever it is. */
  readonly nft: string
}

/** One way to bring the client's packets to the server. */
export interface Rival {
  readonly title: string
  readonly carries: Traffic
  /** Starts it on its host; rejects with what is missing where it cannot run. */
  readonly start: (site: Site, surroundings: Surroundings) => Promise<Contender>
}

const program = fileURLToPath(new URL('director.ts', import.meta.url))
const tsx = fileURLToPath(import.meta.resolve('tsx'))
const nothing: Contender = { close: async () => undefined }

/** Where the director of a run listens to commands. */
export function controlPath({ folder }: Surroundings): string {
  return join(folder, 'control.sock')
}

function director(site: Site, surroundings: Surroundings): Promise<Contender> {
  return startDirector(site, { control: controlPath(surroundings) })
}

/** A director whose frames all go through user space, so that workers, not the kernel, forward them. */
function rings(workers: number): Rival['start'] {
  return (site) => startDirector(site, { fastPath: false, workers })
}

async function startDirector(site: Site, more: object): Promise<Contender> {
  await site.host.ip(`addr replace ${virtualAddress}/32 dev lo`)
  const service = (protocol: 'tcp' | 'udp', port: number): object => ({
    protocol,
    address: virtualAddress,
    port,
    scheduler: 'sh',
    flags: ['sh-port', 'sh-fallback'],
    servers: [{ address: site.serverAddress }],
  })
  const options = {
    interfaces: ['front'],
    sloppy: { tcp: true, sctp: true },
    connections: 1 << 21,
    ...more,
    services: [service('udp', ports.datagrams), service('tcp', ports.requests), service('tcp', ports.bulk)],
  }
  const command = [process.execPath, '--import', tsx, program, JSON.stringify(options)]
  const child = site.host.start('director', command)
  await child.message('ready', 60_000)
  const close = (): Promise<unknown> => {
    child.endInput()
    return child.exited
  }
  const again = async (): Promise<Contender> => {
    await close()
    return startDirector(site, more)
  }
  return { pid: child.pid, close, again }
}

async function kernel({ host, serverAddress }: Site): Promise<Contender> {
  await host.sysctl({ 'net.ipv4.ip_forward': 1 })
  await host.ip(`route add ${virtualAddress}/32 via ${serverAddress}`)
  return nothing
}

async function dnat({ host, serverAddress }: Site, { nft }: Surroundings): Promise<Contender> {
  await host.sysctl({ 'net.ipv4.ip_forward': 1 })
  await host.run(
    nft,
    `table ip balance {
       chain prerouting { type nat hook prerouting priority dstnat; ip daddr ${virtualAddress} dnat to ${serverAddress}; }
     }`,
  )
  return nothing
}

async function ingress(site: Site, { nft }: Surroundings): Promise<Contender> {
  const rewrite = `ether daddr set ${site.serverMac} ether saddr set ${site.rearMac} fwd to "rear"`
  await site.host.run(
    nft,
    `table netdev balance {
       chain ingress { type filter hook ingress device "front" priority 0; ip daddr ${virtualAddress} ${rewrite}; }
     }`,
  )
  return nothing
}

async function bare(site: Site): Promise<Contender> {
  const options = { from: 'front', to: 'rear', toMac: site.serverMac, address: virtualAddress }
  const child = startPeer(site.host, 'forward', options)
  await child.message('forwarding')
  return { pid: child.pid, close: () => child.kill('SIGTERM') }
}

async function ipvs({ host, serverAddress }: Site): Promise<Contender> {
  if (!existsSync('/proc/net/ip_vs')) throw new Error('this kernel has no IPVS (module ip_vs)')
  await host.ip(`addr add ${virtualAddress}/32 dev lo`)
  const services = [`-u ${virtualAddress}:${ports.datagrams}`]
  for (const port of [ports.requests, ports.bulk]) services.push(`-t ${virtualAddress}:${port}`)
  for (const service of services) {
    const port = service.slice(service.lastIndexOf(':') + 1)
    await host.run('ipvsadm', '-A', ...service.split(' '), '-s', 'sh', '-b', 'sh-port')
    await host.run('ipvsadm', '-a', ...service.split(' '), '-r', `${serverAddress}:${port}`, '-g')
  }
  return nothing
}

/** All contenders, in the order of the turns. */
export const rivals = {
  director: { title: 'l4-director', carries: 'packets', start: director },
  rings: { title: 'l4-director, no fast path', carries: 'packets', start: rings(1) },
  'workers-2': { title: 'l4-director, 2 workers', carries: 'packets', start: rings(2) },
  'workers-4': { title: 'l4-director, 4 workers', carries: 'packets', start: rings(4) },
  kernel: { title: 'kernel forwarding', carries: 'packets', start: kernel },
  bare: { title: 'bare AF_PACKET loop', carries: 'packets', start: bare },
  dnat: { title: 'nftables DNAT', carries: 'packets', start: dnat },
  ingress: { title: 'nftables ingress fwd', carries: 'packets', start: ingress },
  haproxy: { title: 'HAProxy, tcp', carries: 'connections', start: haproxy },
  nginx: { title: 'nginx stream', carries: 'connections', start: nginx },
  ipvs: { title: 'kernel IPVS', carries: 'packets', start: ipvs },
} as const satisfies Record<string, Rival>

export type RivalName = keyof typeof rivals
