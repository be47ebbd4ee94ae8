import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import test, { type ExecutionContext } from 'ava'

import { ipvsadmBinary } from '../conformance/command.ts'
import type { Message } from '../lab/lab-process.ts'
import { Lab } from '../lab/topology.ts'
import { DaemonHost } from './daemon-host.ts'

// What a daemon reads and writes beside its configuration file, and tells the service manager.

const starter = fileURLToPath(new URL('../../bin/ipvsadm', import.meta.url))

async function openLab(t: ExecutionContext): Promise<{ lab: Lab; host: DaemonHost }> {
  const lab = await Lab.create({ directors: 1, servers: 1 })
  t.teardown(() => lab.close())
  return { lab, host: DaemonHost.open(t, lab.director(1)) }
}

const saved = `-A -t 192.0.2.80:80 -s sh -b sh-port
-a -t 192.0.2.80:80 -r 10.9.0.1:80 -g -w 1
-a -t 192.0.2.80:80 -r 10.9.0.2:80 -g -w 2
-A -u 192.0.2.80:53 -s rr
-a -u 192.0.2.80:53 -r 10.9.0.1:53 -i -w 1 --tun-type ipip
`

test('saved rules are a configuration: started with, reloaded by difference, refused with their lines', async (t) => {
  const { lab, host } = await openLab(t)
  const rules = host.beside('saved.rules')
  const environment = { L4_DIRECTOR_IPVSADM: ipvsadmBinary() }
  const ipvsadm = (...words: string[]): Promise<string> =>
    lab.server(1).run('env', `L4_DIRECTOR_CONTROL=${host.control}`, starter, ...words)
  writeFileSync(rules, saved)
  const daemon = await host.startedWithRules(rules, environment)
  t.teardown(() => daemon.kill('SIGTERM'))
  // From another network namespace, by `ip netns exec`, as Octavia does; nothing is said on standard error.
  t.is(await ipvsadm('-S', '-n'), saved)
  t.is((await ipvsadm('-Ln')).split('\n')[3], 'TCP  192.0.2.80:80 sh (sh-port)')

  writeFileSync(rules, saved.replace('10.9.0.2:80 -g -w 2', '10.9.0.2:80 -g -w 7'))
  const reloaded = daemon.waitFor('the reload', ({ event }) => event === 'reloaded')
  await using client = await host.client()
  process.kill(Number((await client.ping()).pid), 'SIGHUP')
  t.like(await reloaded, { commands: 1 })
  const { version } = (await client.snapshot()).configuration

  writeFileSync(rules, `${saved}-A -t 192.0.2.80:80 -s rr\nnonsense\n`)
  const refusals: Message[] = []
  daemon.onMessage((message) => message.event === 'reload-refused' && refusals.push(message))
  await t.throwsAsync(client.call('reload'), { code: 'ERR_DIRECTOR_INVALID_OPTIONS' })
  while (refusals.length < 2) await client.ping()
  t.like(refusals, {
    length: 2,
    0: { level: 'error', line: 6, file: rules, message: 'Service already exists' },
    1: { level: 'error', line: 7, file: rules },
  })
  t.deepEqual((await client.snapshot()).configuration.version, version)
})

test('files in the layout of the kernel’s are kept up to date', async (t) => {
  const { lab, host } = await openLab(t)
  const folder = host.beside('proc')
  const web = { protocol: 'tcp', address: '192.0.2.80', port: 80 } as const
  host.write([{ ...web, scheduler: 'rr' }], { proc: { path: folder, intervalSeconds: 1 } })
  const daemon = await host.started()
  t.teardown(() => daemon.kill('SIGTERM'))
  await using client = await host.client()
  await client.apply([{ type: 'add-server', service: web, server: { address: '10.9.0.1' } }])
  const read = (name: string): Promise<string> => lab.server(1).run('cat', `${folder}/net/${name}`)
  const deadline = Date.now() + 30_000
  while (!(await read('ip_vs')).includes('0A090001') && Date.now() < deadline);
  t.deepEqual((await read('ip_vs')).split('\n').slice(3), [
    'TCP  C0000250:0050 rr ',
    '  -> 0A090001:0050      Route   1      0          0         ',
    '',
  ])
  t.regex(readFileSync(`${folder}/net/ip_vs_stats`, 'utf8'), /^ {3}Total Incoming Outgoing /)
})

/** A service manager's socket: prints each datagram. */
const manager = `use IO::Socket::UNIX; $| = 1;
my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die "no socket: $!";
print qq({"event":"listening"}\\n);
while (defined $socket->recv(my $state, 4096)) { $state =~ s/\\n/ /g; print qq({"event":"notified","state":"$state"}\\n) }`

test('the service manager is told of start, life, reload and stop', async (t) => {
  const { lab, host } = await openLab(t)
  const path = host.beside('notify')
  const listener = lab.director(1).start('manager', ['perl', '-e', manager, path])
  t.teardown(() => listener.kill())
  await listener.message('listening')
  const states: string[] = []
  listener.onMessage(({ state }) => states.push(String(state)))
  const told = (what: RegExp): Promise<unknown> =>
    listener.waitFor(String(what), ({ state }) => what.test(String(state)))
  host.write([])
  const alive = told(/^WATCHDOG=1$/)
  const daemon = await host.started({ NOTIFY_SOCKET: path, WATCHDOG_USEC: '200000' })
  await using client = await host.client()
  const { pid } = await client.ping()
  await alive
  t.is(states[0], `READY=1 MAINPID=${pid}`)
  const reloading = told(/^RELOADING=1 MONOTONIC_USEC=\d+$/)
  const ready = told(/^READY=1 /)
  process.kill(pid, 'SIGHUP')
  await Promise.all([reloading, ready])
  const stopping = told(/^STOPPING=1$/)
  t.is((await daemon.kill('SIGTERM')).status, 0)
  await stopping
})
