import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import test, { type ExecutionContext } from 'ava'

import { ipvsadmBinary } from '../conformance/command.ts'
import { Holder } from '../lab/holder.ts'
import { cable, Namespace } from '../lab/namespace.ts'
import { startServer } from '../lab/peers.ts'

// The kernel's own scenario for IPVS (tools/testing/selftests, ipvs.sh), against the daemon: a file
// of 32 octets goes to the virtual service and has to arrive. The same hosts, addresses and commands.

const virtual = '207.175.44.110'
const port = 8080
const command = fileURLToPath(new URL('../../bin/l4-director.js', import.meta.url))

const receive = `require('node:net').createServer((socket) => {
  socket.pipe(require('node:fs').createWriteStream(process.argv[1])).on('finish', () => {
    console.log(JSON.stringify({ event: 'received' }))
    process.exit(0)
  })
}).listen(${port}, () => console.log(JSON.stringify({ event: 'listening' })))`

const send = `require('node:net').connect(${port}, '${virtual}').end(require('node:fs').readFileSync(process.argv[1]))`

interface Hosts {
  readonly client: Namespace
  readonly director: Namespace
  readonly server: Namespace
  readonly folder: string
  /** Runs the command as on the director's host. */
  ipvsadm(...words: string[]): Promise<string>
}

async function hosts(t: ExecutionContext): Promise<Hosts> {
  const holder = await Holder.start()
  t.teardown(() => holder.close())
  const names = ['ns0', 'ns1', 'ns2'].map((name) => Namespace.create(holder, `${name}-${process.pid}`))
  const [client, director, server] = (await Promise.all(names)) as [Namespace, Namespace, Namespace]
  await cable([client, 'veth01'], [director, 'veth10'])
  await cable([client, 'veth02'], [server, 'veth20'])
  await cable([director, 'veth12'], [server, 'veth21'])
  await client.ip(
    'link add br0 type bridge',
    'link set veth01 master br0',
    'link set veth02 master br0',
    'link set br0 up',
    'addr add 10.0.0.2/24 dev br0',
    `route add ${virtual} via 10.0.0.1 dev br0`,
  )
  await director.ip(
    'addr add 10.0.0.1/24 dev veth10',
    'addr add 172.16.0.1/24 dev veth12',
    `addr add ${virtual}/32 dev lo`,
  )
  await server.ip('addr add 10.0.0.3/24 dev veth20', 'addr add 172.16.0.2/24 dev veth21')
  const folder = mkdtempSync(join(tmpdir(), 'l4-selftest-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  await startDaemon(t, director, folder)
  const ipvsadm = (...words: string[]): Promise<string> => director.run(ipvsadmBinary(), ...words)
  return { client, director, server, folder, ipvsadm }
}

async function startDaemon(t: ExecutionContext, director: Namespace, folder: string): Promise<void> {
  const config = join(folder, 'director.json')
  writeFileSync(config, JSON.stringify({ interfaces: ['veth10', 'veth12'], connections: 4096 }))
  const daemon = director.start('daemon', [process.execPath, command, 'run', '--config', config])
  t.teardown(() => daemon.kill('SIGTERM'))
  await daemon.message('started')
}

async function expectFileArrives(t: ExecutionContext, { client, server, folder }: Hosts): Promise<void> {
  const [sent, received] = [join(folder, 'sent'), join(folder, 'received')]
  writeFileSync(sent, randomBytes(32))
  const listener = server.start('listener', [process.execPath, '-e', receive, received])
  t.teardown(() => listener.kill())
  await listener.message('listening')
  await client.run(process.execPath, '-e', send, sent)
  await listener.exited
  t.deepEqual(readFileSync(received), readFileSync(sent))
}

/** A server that has the virtual address without claiming it. */
async function carryVirtualAddress(server: Namespace): Promise<void> {
  await server.sysctl({ 'net.ipv4.conf.all.arp_ignore': 1, 'net.ipv4.conf.all.arp_announce': 2 })
  await server.ip(`addr add ${virtual}/32 dev lo`)
}

test('direct routing', async (t) => {
  const lab = await hosts(t)
  await lab.director.sysctl({ 'net.ipv4.ip_forward': 1 })
  await lab.ipvsadm('-A', '-t', `${virtual}:${port}`, '-s', 'rr')
  await lab.ipvsadm('-a', '-t', `${virtual}:${port}`, '-r', `172.16.0.2:${port}`)
  await carryVirtualAddress(lab.server)
  await expectFileArrives(t, lab)
  t.regex(await lab.ipvsadm('-L', '-n'), /-> 172\.16\.0\.2:8080 {14}Route {3}1 /)
})

test('NAT', async (t) => {
  const lab = await hosts(t)
  await lab.director.sysctl({ 'net.ipv4.ip_forward': 1 })
  await lab.ipvsadm('-A', '-t', `${virtual}:${port}`, '-s', 'rr')
  await lab.ipvsadm('-a', '-m', '-t', `${virtual}:${port}`, '-r', `172.16.0.2:${port}`)
  await lab.server.ip('link del veth20', 'route add default via 172.16.0.1 dev veth21')
  await expectFileArrives(t, lab)
  t.regex(await lab.ipvsadm('-L', '-n'), /-> 172\.16\.0\.2:8080 {14}Masq {4}1 /)
})

test('tunnel', async (t) => {
  const lab = await hosts(t)
  await lab.director.sysctl({ 'net.ipv4.ip_forward': 0, 'net.ipv4.conf.all.send_redirects': 0 })
  await lab.ipvsadm('-A', '-t', `${virtual}:${port}`, '-s', 'rr')
  await lab.ipvsadm('-a', '-i', '-t', `${virtual}:${port}`, '-r', `172.16.0.2:${port}`)
  await carryVirtualAddress(lab.server)
  const end = await startServer(lab.server, 'decapsulator', { address: '172.16.0.2', tunnel: 'ipip' }, 'end')
  t.teardown(() => end.kill())
  await expectFileArrives(t, lab)
  t.regex(await lab.ipvsadm('-L', '-n'), /-> 172\.16\.0\.2:8080 {14}Tunnel {2}1 /)
})
