import { lookupService } from 'node:dns/promises'
import test from 'ava'
import { Director, type OfflineDirector } from '../../lib/index.ts'
import { Shell } from '../conformance/command.ts'
import { session, silent } from './ipvsadm-session.ts'

test('PyBal: a removal that fails is told, the lines behind it are carried out', async (t) => {
  const [restored, saved] = await session([
    [
      'ipvsadm -R',
      '-D -t 192.0.2.80:80\n-A -t 192.0.2.80:80 -s sh\n-a -t 192.0.2.80:80 -r 10.0.0.1 -w 10\n-a -t 192.0.2.80:80 -r 10.0.0.2\n',
    ],
    'ipvsadm -S -n',
  ])
  t.deepEqual(restored, { rc: 0, stdout: '', stderr: 'No such service\n' })
  t.is(
    saved?.stdout,
    '-A -t 192.0.2.80:80 -s sh\n-a -t 192.0.2.80:80 -r 10.0.0.1:80 -g -w 10\n-a -t 192.0.2.80:80 -r 10.0.0.2:80 -g -w 1\n',
  )
})

test('ctdb: a persistent service without a port, and a server on this host where addresses are not strict', async (t) => {
  const ended = await session(
    [
      'ipvsadm -D -t 192.0.2.80',
      'ipvsadm -A -t 192.0.2.80 -p 1999999 -s lc',
      'ipvsadm -a -t 192.0.2.80 -r 10.0.0.1 -g',
      'ipvsadm -a -t 192.0.2.80 -r 127.0.0.1',
      'ipvsadm -L -n -t 192.0.2.80:0',
    ],
    (director) => director.set({ strictAddresses: false }),
  )
  t.deepEqual(ended[0], { rc: 255, stdout: '', stderr: 'No such service\n' })
  t.deepEqual(ended.slice(1, 4), [silent, silent, silent])
  t.true(ended[4]?.stdout.includes('TCP  192.0.2.80:0 lc persistent 1999999\n'))
})

test('ldirectord: added with thresholds, quiesced, restored; three lines before the table', async (t) => {
  const ended = await session([
    'ipvsadm -A -t 192.0.2.80:80 -s sh -p 600 -M 255.255.255.0 -b sh-port,sh-fallback',
    'ipvsadm -a -t 192.0.2.80:80 -x 0 -y 0 -r 10.0.0.1:80 -g -w 5',
    'ipvsadm -e -t 192.0.2.80:80 -r 10.0.0.1:80 -g -w 0',
    'ipvsadm -e -t 192.0.2.80:80 -x 9 -y 3 -r 10.0.0.1:80 -g -w 5',
    'ipvsadm -L -n',
    'ipvsadm -L -n --thresholds',
    'ipvsadm -d -t 192.0.2.80:80 -r 10.0.0.1:80',
    'ipvsadm -D -t 192.0.2.80:80',
    'ipvsadm -ln',
  ])
  t.deepEqual(
    [...ended.slice(0, 4), ...ended.slice(6, 8)],
    Array.from({ length: 6 }, () => silent),
  )
  t.deepEqual(ended[4]?.stdout.split('\n').slice(3), [
    'TCP  192.0.2.80:80 sh (sh-fallback,sh-port) persistent 600 mask 255.255.255.0',
    '  -> 10.0.0.1:80                  Route   5      0          0         ',
    '',
  ])
  t.is(
    ended[5]?.stdout.split('\n')[4],
    '  -> 10.0.0.1:80                  9          3          0          0         ',
  )
  t.is(ended[8]?.stdout.trimEnd().split('\n').length, 3)
})

test('a full save restores thresholds and the order of servers, so that hashing places as before', async (t) => {
  const rules = [
    '-A -t 192.0.2.80:80 -s sh',
    '-a -t 192.0.2.80:80 -r 10.0.0.3:80 -g -w 1',
    '-a -t 192.0.2.80:80 -r 10.0.0.1:80 -g -w 1 -x 20 -y 10',
    '-a -t 192.0.2.80:80 -r 10.0.0.2:80 -g -w 1',
    '',
  ].join('\n')
  const digest = async (lines: readonly (readonly [string, string])[]): Promise<[string, string]> => {
    let made: OfflineDirector | undefined
    const ended = await session([...lines, 'ipvsadm -S -n --full'], (director) => (made = director))
    return [made?.configuration.version.digest ?? '', ended.at(-1)?.stdout ?? '']
  }
  const [first, saved] = await digest([['ipvsadm -R', rules]])
  t.is(saved, rules)
  const [second] = await digest([['ipvsadm -R', saved]])
  t.is(second, first)
})

test('names are read, and shown without -n, as the resolver has them', async (t) => {
  const { hostname, service } = await lookupService('127.0.0.1', 80)
  const ended = await session(
    [
      'ipvsadm -A -t localhost:http -s rr',
      'ipvsadm -a -t 127.0.0.1:80 -r localhost',
      'ipvsadm -L',
      'ipvsadm -S',
      'ipvsadm -L -n',
      'ipvsadm -A -t no-such-host.invalid:80',
      'ipvsadm -A -t 127.0.0.1:no-such-service',
    ],
    (director) => director.set({ strictAddresses: false }),
  )
  t.deepEqual(ended.slice(0, 2), [silent, silent])
  t.true(ended[2]?.stdout.includes(`TCP  ${hostname}:${service} rr\n  -> ${hostname}:${service} `))
  t.is(ended[3]?.stdout.split('\n')[0], `-A -t ${hostname}:${service} -s rr`)
  t.true(ended[4]?.stdout.includes('TCP  127.0.0.1:80 rr\n  -> 127.0.0.1:80 '))
  t.deepEqual(
    ended.slice(5).map(({ rc, stderr }) => [rc, stderr]),
    [
      [2, 'illegal virtual server address[:port] specified\n'],
      [2, 'illegal virtual server address[:port] specified\n'],
    ],
  )
})

test('an address that only a director refuses: the message names the reason and the setting', async (t) => {
  const ended = await session([
    'ipvsadm -A -t 192.0.2.80:80 -s rr',
    'ipvsadm -a -t 192.0.2.80:80 -r 127.0.0.1:80',
    'ipvsadm -a -t 192.0.2.80:80 -r 224.0.0.1:80',
  ])
  t.deepEqual(
    ended.map(({ rc }) => rc),
    [0, 255, 255],
  )
  t.regex(
    ended[1]?.stderr ?? '',
    /127\.0\.0\.1 is a loopback address; .* another host, .*setting strictAddresses/,
  )
  t.is(ended[2]?.stderr, 'Invalid operation.  Possibly wrong module version, address not unicast, ...\n')
})

test('--json: an object a line, in the order of the listing', async (t) => {
  const ended = await session([
    'ipvsadm -A -u 192.0.2.80:53 -s rr -o',
    'ipvsadm -a -u 192.0.2.80:53 -r 10.0.0.1 -i --tun-type gre',
    'ipvsadm -L --json',
    'ipvsadm -L --timeout --json',
    'ipvsadm -L --daemon --json',
    'ipvsadm -L -c --json',
  ])
  const [services, timeouts, daemons, connections] = ended.slice(2).map(({ stdout }) => stdout)
  const [service] = JSON.parse(services ?? '').services
  t.like(service, { protocol: 'udp', port: 53, onePacket: true })
  t.like(service.servers[0], { address: '10.0.0.1', tunnel: { type: 'gre', port: null, checksum: 'nocsum' } })
  t.deepEqual(JSON.parse(timeouts ?? ''), {
    tcpTimeoutSeconds: 900,
    tcpFinTimeoutSeconds: 120,
    udpTimeoutSeconds: 300,
  })
  t.deepEqual(JSON.parse(daemons ?? ''), { daemons: [] })
  t.is(connections, '')
})

test('a restore of many lines is applied, and a line that means nothing ends it behind what it follows', async (t) => {
  const services = Array.from({ length: 1200 }, (_, at) => `-A -t 192.0.2.80:${at + 1} -s rr`)
  const [restored, listed] = await session([
    ['ipvsadm -R', [...services, 'nonsense', '-A -t 192.0.2.81:1 -s rr', ''].join('\n')],
    'ipvsadm -L -n',
  ])
  t.is(restored?.rc, 255)
  t.is(restored?.stderr, "Try `ipvsadm -h' or 'ipvsadm --help' for more information.\n")
  t.is(listed?.stdout.trimEnd().split('\n').length, 3 + services.length)
})

test('sync daemons are refused politely, and none is listed', async (t) => {
  const [start, stop, list] = await session([
    'ipvsadm --start-daemon master --mcast-interface eth0 --syncid 1',
    'ipvsadm --stop-daemon backup',
    'ipvsadm -L --daemon',
  ])
  t.is(start?.rc, 255)
  t.regex(start?.stderr ?? '', /no synchronisation daemon/)
  t.deepEqual(stop, { rc: 255, stdout: '', stderr: 'No daemon is running\n' })
  t.deepEqual(list, silent)
})

test('without a director the status is that of an unreachable table, and the message says where it looked', async (t) => {
  const shell = await Shell.open(Director.offline())
  await shell.close()
  const ended = await shell.run('ipvsadm -L -n')
  t.is(ended.rc, 2)
  t.is(ended.stdout, '')
  t.regex(ended.stderr, /^Can't initialize ipvs: .*\n.*control\.sock.*L4_DIRECTOR_CONTROL/)
  t.is((await shell.run('ipvsadm -v')).rc, 0)
})
