// Proxies, as Debian has them, unpacked and not installed. Each listens on the virtual address and
// connects to the server under its own address.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { unpackDebianPackages } from '../../test/lab/debian-packages.ts'
import type { LabProcess } from '../../test/lab/lab-process.ts'
import { ports, virtualAddress, type Site } from './network.ts'
import type { Contender, Surroundings } from './rivals.ts'

const tcpPorts = [ports.requests, ports.bulk]
const haproxyPackages = ['haproxy', 'libopentracing-c-wrapper0', 'libopentracing1', 'liblua5.3-0']
const libraries = 'usr/lib/x86_64-linux-gnu'

/** HAProxy in tcp mode, one thread a processor. */
export async function haproxy(site: Site, { folder }: Surroundings): Promise<Contender> {
  const root = await unpackDebianPackages(haproxyPackages)
  const config = join(folder, 'haproxy.cfg')
  const sections = tcpPorts.map(
    (port) => `listen port${port}
  bind ${virtualAddress}:${port}
  server server1 ${site.serverAddress}:${port}`,
  )
  const lines = `global
  maxconn 5000
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
${sections.join('\n')}
`
  writeFileSync(config, lines)
  const command = [join(root, 'usr/sbin/haproxy'), '-db', '-f', config]
  return startProxy(site, 'haproxy', command, { LD_LIBRARY_PATH: join(root, libraries) })
}

/** nginx with its stream module, one worker a processor. */
export async function nginx(site: Site, { folder }: Surroundings): Promise<Contender> {
  const root = await unpackDebianPackages(['nginx', 'nginx-common', 'libnginx-mod-stream'])
  const config = join(folder, 'nginx.conf')
  const servers = tcpPorts.map(
    (port) => `server { listen ${virtualAddress}:${port}; proxy_pass ${site.serverAddress}:${port}; }`,
  )
  const lines = `load_module ${join(root, 'usr/lib/nginx/modules/ngx_stream_module.so')};
daemon off;
user root;
error_log stderr;
pid ${join(folder, 'nginx.pid')};
worker_processes auto;
events { worker_connections 4000; }
stream { proxy_half_close on; ${servers.join('\n')} }
`
  writeFileSync(config, lines)
  return startProxy(site, 'nginx', [join(root, 'usr/sbin/nginx'), '-e', 'stderr', '-p', folder, '-c', config])
}

async function startProxy(
  { host }: Site,
  name: string,
  command: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<Contender> {
  await host.ip(`addr add ${virtualAddress}/32 dev lo`)
  const child = host.start(name, command, environment)
  await listening(child, () => host.run('ss', '-Hltn'))
  return {
    pid: child.pid,
    get complaints() {
      return child.complaints
    },
    close: () => child.kill('SIGTERM'),
  }
}

async function listening(child: LabProcess, sockets: () => Promise<string>): Promise<void> {
  const isThere = (text: string): boolean => tcpPorts.every((port) => text.includes(`:${port} `))
  const limit = performance.now() + 10_000
  while (!isThere(await sockets())) {
    if (child.exit !== undefined || performance.now() > limit) {
      throw new Error(`${child.name} does not listen: ${child.complaints}`)
    }
    await sleep(50)
  }
}
