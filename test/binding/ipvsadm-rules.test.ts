import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { ConfigurationFileError, readConfiguration } from '../../lib/daemon/configuration-file.ts'
import { Director } from '../../lib/index.ts'
import type { OfflineDirector } from '../../lib/index.ts'
import { scratch } from './control-peer.ts'
import { tcpFrame } from './frames.ts'
import { session, silent } from './ipvsadm-session.ts'
import { webKey } from './web.ts'

const bin = fileURLToPath(new URL('../../bin/', import.meta.url))
const KEY = '-t 192.0.2.80:80'

interface Ended {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs shell text with the package's commands before all others, on an offline director. */
async function shell(t: ExecutionContext, script: string, director = Director.offline()): Promise<Ended> {
  const server = await director.serveControl(join(scratch(t), 'control.sock'))
  t.teardown(() => server.close())
  const PATH = `${bin}:${process.env['PATH']}`
  const child = spawn('sh', ['-c', script], { env: { PATH, L4_DIRECTOR_CONTROL: server.path } })
  child.stdin.end()
  const said = Promise.all([text(child.stdout), text(child.stderr)])
  const [status] = (await once(child, 'exit')) as [number]
  const [stdout, stderr] = await said
  return { status, stdout, stderr }
}

test('a configuration takes rules with comments, and tells the line of each that is refused', async (t) => {
  const rules = join(scratch(t), 'saved.rules')
  const read = (lines: readonly string[]): Promise<unknown> => {
    writeFileSync(rules, lines.join('\n'))
    return readConfiguration({ rules, interfaces: ['eth0'] })
  }
  const good = ['# one', '', `-A ${KEY} -s rr`, ' # two']
  t.like(await read(good), { configuration: { services: { length: 1 } } })
  const error = await t.throwsAsync(read([...good, `-A ${KEY} -s rr`, 'word', `-a ${KEY} -r 127.0.0.1`]), {
    instanceOf: ConfigurationFileError,
  })
  t.deepEqual(
    error.issues.map(({ line }) => line),
    [5, 6, 7],
  )
  const [exists, word, loopback] = error.issues.map(({ message }) => message)
  t.is(exists, 'Service already exists')
  t.regex(word ?? '', /^`word' is no command/)
  t.regex(loopback ?? '', /^127\.0\.0\.1 is a loopback address; .*strictAddresses/)
})

test('what only a director refuses is told with its reason, in the words of a command line', async (t) => {
  const refusals = [
    [`-a ${KEY} -r 127.0.0.1:80 -g`, /127\.0\.0\.1 is a loopback address.*strictAddresses/],
    [`-a ${KEY} -r 192.0.2.80:80 -g`, /192\.0\.2\.80 is the address of a virtual service.*strictAddresses/],
    ['-A -t 127.0.0.1:80 -s rr', /127\.0\.0\.1 is a loopback address.*strictAddresses/],
    ['-A -t 10.0.0.1:80 -s rr', /10\.0\.0\.1 is the address of a real server.*strictAddresses/],
    [`-a ${KEY} -r 224.0.0.1 -g`, /^Invalid operation/],
    [`-a ${KEY} -r 10.0.0.9:0 -m`, /port is 0; 1 to 65535/],
  ] as const
  const made = [`ipvsadm -A ${KEY} -s rr`, `ipvsadm -a ${KEY} -r 10.0.0.1`]
  const ended = await session([...made, ...refusals.map(([line]) => `ipvsadm ${line}`)])
  t.deepEqual(ended.slice(0, 2), [silent, silent])
  for (const [index, { rc, stderr }] of ended.slice(2).entries()) {
    t.is(rc, 255)
    t.regex(stderr, refusals[index]?.[1] ?? /^$/)
    t.notRegex(stderr, /commands\[|Error|undefined/)
  }
})

test('persistence over all clients is taken, listed, saved and restored', async (t) => {
  const director = Director.offline()
  const saved = '-A -t 192.0.2.80:80 -s rr -p 300 -M 0.0.0.0\n-A -t [2001:db8::80]:80 -s rr -p 300 -M ::\n'
  const script = `printf '%s' '${saved}' | ipvsadm-restore && ipvsadm-save -n && ipvsadm -C &&
    printf '%s' '${saved}' | ipvsadm -R && ipvsadm -Sn`
  t.deepEqual(await shell(t, script, director), { status: 0, stdout: saved + saved, stderr: '' })
  const lengths = director.configuration.services.map(({ persistence }) => persistence?.prefixLength)
  t.deepEqual(lengths, [0, 0])
})

test('with persistence over all clients every client goes where the first one went', (t) => {
  const places = (prefixLength: number): Set<unknown> => {
    const persistence = { timeoutSeconds: 60, prefixLength }
    const servers = [{ address: '10.0.0.1' }, { address: '10.0.0.2' }]
    const director = Director.offline({ services: [{ ...webKey, scheduler: 'rr', persistence, servers }] })
    const clients = ['198.51.100.1', '203.0.113.9', '10.255.0.1', '192.0.2.7']
    return new Set(clients.map((client) => director.process(tcpFrame({ client })).server?.address))
  }
  t.is(places(0).size, 1)
  t.is(places(32).size, 2)
})

test('a prefix that is too long is told with the range of its family', (t) => {
  const add = (address: string, prefixLength: number): unknown =>
    Director.offline().addService({
      protocol: 'tcp',
      address,
      port: 80,
      scheduler: 'rr',
      persistence: { timeoutSeconds: 60, prefixLength },
    })
  t.throws(() => add('192.0.2.80', 33), { message: /prefixLength.*0 to 32 is allowed/ })
  for (const prefixLength of [-1, 129, 1.5])
    t.throws(() => add('192.0.2.80', prefixLength), { message: /0 to 32 for IPv4, 0 to 128 for IPv6/ })
  t.notThrows(() => add('2001:db8::80', 0))
})

test('a listing or save that cannot be written fails and says why; a closed pipe is silent', async (t) => {
  const director = Director.offline({ services: [{ ...webKey, scheduler: 'rr' }] })
  for (const command of ['ipvsadm -Ln', 'ipvsadm -Sn', 'ipvsadm-save', 'ipvsadm -Lnc', 'ipvsadm --help']) {
    const full = await shell(t, `${command} > /dev/full`, director)
    t.is(full.status, 1, command)
    t.regex(full.stderr, /^the output could not be written: No space left on device/, command)
    const closed = await shell(t, `${command} >&-`, director)
    t.is(closed.status, 1, command)
    t.regex(closed.stderr, /^the output could not be written: Bad file descriptor/, command)
    const quiet = { status: 0, stdout: '', stderr: '' }
    t.deepEqual(await unread(t, command, director), quiet, command)
    t.deepEqual(await shell(t, `${command} > /dev/null`, director), quiet, command)
  }
  // What writes nothing needs no output.
  t.like(await shell(t, `ipvsadm -A -t 192.0.2.99:80 >&-`, director), { status: 0, stderr: '' })
})

/** Its reader is gone before it starts: the shell holds the reading end of a pipe that is closed by then. */
async function unread(t: ExecutionContext, command: string, director: OfflineDirector): Promise<Ended> {
  const script = `{ read -r go < gate; ${command}; echo "status $?" >&2; } | { exec <&-; echo go > gate; }`
  const folder = scratch(t)
  const inside = `cd ${folder} && mkfifo gate && ${script}`
  const ended = await shell(t, inside, director)
  t.is(ended.stderr, 'status 0\n', command)
  return { ...ended, stderr: '' }
}

test('rules that cannot be read are told', async (t) => {
  const ended = await shell(t, 'ipvsadm -R < /')
  t.is(ended.status, 2)
  t.regex(ended.stderr, /^the rules could not be read: Is a directory/)
})

test('save and restore find the command of their own package, also through links', async (t) => {
  const links = scratch(t)
  for (const name of ['ipvsadm-save', 'ipvsadm-restore']) symlinkSync(join(bin, name), join(links, name))
  const line = `-A ${KEY} -s rr`
  const script = `PATH=/usr/bin:/bin; echo '${line}' | ${links}/ipvsadm-restore && ${links}/ipvsadm-save -n`
  t.deepEqual(await shell(t, script), { status: 0, stdout: `${line}\n`, stderr: '' })
  t.regex((await shell(t, 'ipvsadm-save --help; ipvsadm-restore -h')).stdout, /-n.*\n.*standard input/)
  t.is((await shell(t, 'ipvsadm-save --nonsense')).status, 255)
})
