import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import test, { type ExecutionContext } from 'ava'

import { ipvsadmBinary } from '../conformance/command.ts'
import { clientAddress, serverAddress, virtualAddress } from '../lab/addresses.ts'
import { unpackDebianPackages } from '../lab/debian-packages.ts'
import type { LabProcess, Message } from '../lab/lab-process.ts'
import { Lab } from '../lab/topology.ts'
import { DaemonHost } from './daemon-host.ts'

// ldirectord, as Debian has it, manages nginx servers through the ipvsadm command: it checks them
// once a second, quiesces those that fail, and takes them in again.

const packages = [
  'ldirectord',
  'libio-socket-inet6-perl',
  'libsocket6-perl',
  'libmailtools-perl',
  'libwww-perl',
  'libhttp-message-perl',
  'libhttp-date-perl',
  'liburi-perl',
  'libnet-http-perl',
  'libhtml-parser-perl',
  'libhtml-tagset-perl',
  'liblwp-mediatypes-perl',
  'libencode-locale-perl',
  'libhttp-negotiate-perl',
  'libfile-listing-perl',
  'libhttp-cookies-perl',
  'libtry-tiny-perl',
  'libio-html-perl',
  'libtimedate-perl',
  'libwww-robotrules-perl',
  'libclone-perl',
  'nginx',
]

const tsx = fileURLToPath(import.meta.resolve('tsx'))
const httpClient = fileURLToPath(new URL('http-client.ts', import.meta.url))
const service = `${virtualAddress.ipv4}:80`

/** Where the modules are: for all machines, and below `usr/lib/MACHINE/perl5/VERSION`. */
function perlFolders(root: string): string[] {
  const libraries = join(root, 'usr/lib')
  const perMachine = readdirSync(libraries).map((machine) => join(libraries, machine, 'perl5'))
  const versions = perMachine
    .filter(existsSync)
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
  return [join(root, 'usr/share/perl5'), ...versions]
}

class Site {
  readonly t: ExecutionContext
  readonly lab: Lab
  readonly host: DaemonHost
  readonly debian: string
  readonly folder: string
  readonly #webs = new Map<number, LabProcess>()
  #ldirectord: LabProcess | undefined

  private constructor(t: ExecutionContext, lab: Lab, host: DaemonHost, debian: string) {
    this.t = t
    this.lab = lab
    this.host = host
    this.debian = debian
    this.folder = mkdtempSync(join(tmpdir(), 'l4-ldirectord-'))
    t.teardown(() => rmSync(this.folder, { recursive: true, force: true }))
  }

  /** A daemon without services, and nginx on three real servers. */
  static async open(t: ExecutionContext): Promise<Site> {
    const debian = await unpackDebianPackages(packages)
    const lab = await Lab.create({ directors: 1, servers: 3 })
    t.teardown(() => lab.close())
    const host = DaemonHost.open(t, lab.director(1))
    host.write([])
    const daemon = await host.started()
    t.teardown(() => daemon.kill('SIGTERM'))
    await lab.router.announce(1)
    const site = new Site(t, lab, host, debian)
    for (const index of [1, 2, 3]) site.startWeb(index)
    return site
  }

  /** Starts nginx on a real server. */
  startWeb(index: number): void {
    const folder = join(this.folder, `web${index}`)
    mkdirSync(folder, { recursive: true })
    this.setHealth(index, true)
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    const config = `daemon off; master_process off; error_log stderr; pid ${folder}/pid; user root;
      events {}
      http {
        access_log off;
        ${paths.map((path) => `${path}_temp_path ${folder}/${path};`).join(' ')}
        server {
          listen 80;
          location /health { root ${folder}; }
          location / { return 200 "server${index}"; }
        }
      }`
    writeFileSync(join(folder, 'nginx.conf'), config)
    const nginx = join(this.debian, 'usr/sbin/nginx')
    const command = [nginx, '-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')]
    const web = this.lab.server(index).start(`nginx ${index}`, command)
    this.t.teardown(() => web.kill())
    this.#webs.set(index, web)
  }

  /** Ends nginx on a real server. */
  async stopWeb(index: number): Promise<void> {
    await this.#webs.get(index)?.kill()
  }

  /** What the health check of a real server finds. */
  setHealth(index: number, good: boolean): void {
    const page = join(this.folder, `web${index}`, 'health')
    if (good) writeFileSync(page, 'fine\n')
    else rmSync(page)
  }

  /** Starts ldirectord; with `-d` it takes the ipvsadm of the folder it is started in. */
  startLdirectord(): void {
    symlinkSync(ipvsadmBinary(), join(this.folder, 'ipvsadm'))
    const reals = [1, 2, 3].map((index) => `\treal=${serverAddress(index)}:80 gate`)
    const config = `checktimeout = 2
negotiatetimeout = 2
checkinterval = 1
quiescent = yes
logfile = "${this.folder}/log"
virtual=${service}
${reals.join('\n')}
\tservice=http
\tchecktype=negotiate
\trequest="health"
\treceive="fine"
\tscheduler=rr
\tprotocol=tcp
`
    writeFileSync(join(this.folder, 'ldirectord.cf'), config)
    const environment = {
      PERL5LIB: perlFolders(this.debian).join(':'),
      L4_DIRECTOR_CONTROL: this.host.control,
    }
    const line = `cd ${this.folder} && exec perl ${this.debian}/usr/sbin/ldirectord -d ${this.folder}/ldirectord.cf start 2>&1`
    const ldirectord = this.lab.director(1).start('ldirectord', ['sh', '-c', line], environment)
    this.t.teardown(() => ldirectord.kill())
    this.#ldirectord = ldirectord
  }

  /** Resolves once the listing has these weights of servers 1 to 3. */
  async weights(...wanted: readonly number[]): Promise<void> {
    const deadline = Date.now() + 30_000
    for (;;) {
      const found = await this.listedWeights()
      if (found.join() === wanted.join()) return
      if (Date.now() > deadline) {
        throw new Error(`weights are ${found.join()}, not ${wanted.join()}: ${this.#ldirectord?.complaints}`)
      }
    }
  }

  async listedWeights(): Promise<(number | undefined)[]> {
    await using client = await this.host.client()
    const { configuration } = await client.snapshot()
    const servers = configuration.services.flatMap((one) => one.servers)
    return [1, 2, 3].map((index) => servers.find(({ address }) => address === serverAddress(index))?.weight)
  }
}

/** What clients have seen. */
class Clients {
  readonly #program: LabProcess
  #seen: Message[] = []

  constructor(site: Site) {
    const command = [process.execPath, '--import', tsx, httpClient, virtualAddress.ipv4, '20']
    this.#program = site.lab.clients.start(`clients ${clientAddress(1)}`, command)
    site.t.teardown(() => this.#program.kill())
    this.#program.onMessage((message) => this.#seen.push(message))
  }

  /** What was seen since this was called last: servers that answered, requests that were lost. */
  take(): { servers: string[]; lost: Message[] } {
    const seen = this.#seen
    this.#seen = []
    const servers = new Set(seen.flatMap(({ event, server }) => (event === 'answer' ? [String(server)] : [])))
    return { servers: [...servers].toSorted(), lost: seen.filter(({ event }) => event === 'lost') }
  }

  /** Waits for `count` more answers. */
  async answers(count: number): Promise<void> {
    for (let left = count; left > 0; left -= 1) {
      await this.#program.waitFor('an answer', ({ event }) => event === 'answer')
    }
  }
}

test('ldirectord adds nginx servers, quiesces those that fail, and takes them in again', async (t) => {
  const site = await Site.open(t)
  site.startLdirectord()
  await site.weights(1, 1, 1)
  const clients = new Clients(site)
  await clients.answers(30)
  t.deepEqual(clients.take(), { servers: ['server1', 'server2', 'server3'], lost: [] })

  // A server whose check fails but that works: nobody notices.
  site.setHealth(2, false)
  await site.weights(1, 0, 1)
  t.deepEqual(clients.take().lost, [])
  await clients.answers(30)
  clients.take()
  await clients.answers(30)
  t.deepEqual(clients.take(), { servers: ['server1', 'server3'], lost: [] })
  site.setHealth(2, true)
  await site.weights(1, 1, 1)
  await clients.answers(30)
  t.deepEqual(clients.take().lost, [])

  // A server that dies: it refuses what it gets until the check has seen it, and nobody else is lost.
  await site.stopWeb(3)
  await site.weights(1, 1, 0)
  const { servers, lost } = clients.take()
  t.true(servers.length >= 2, servers.join())
  t.deepEqual(
    [...new Set(lost.map(({ code }) => code))].filter((code) => code !== 'ECONNREFUSED'),
    [],
  )
  await clients.answers(30)
  clients.take()
  await clients.answers(30)
  t.deepEqual(clients.take(), { servers: ['server1', 'server2'], lost: [] })
  site.startWeb(3)
  await site.weights(1, 1, 1)
  await clients.answers(30)
  t.deepEqual(clients.take(), { servers: ['server1', 'server2', 'server3'], lost: [] })
})
