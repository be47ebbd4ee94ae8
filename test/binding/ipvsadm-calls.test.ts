import { createInterface } from 'node:readline'
import test from 'ava'
import { Director } from '../../lib/index.ts'
import { Shell } from '../conformance/command.ts'
import { session, silent } from './ipvsadm-session.ts'
import { offlineWeb } from './web.ts'

// Command lines of programs in the wild, and what they look for in the answers.

const web = '192.0.2.80:80'
const prepared = [
  `ipvsadm -A -t ${web} -s wrr`,
  `ipvsadm -a -t ${web} -r 10.0.0.1:80 -g -w 2`,
  'ipvsadm -A -u 192.0.2.53:53 -s rr',
  'ipvsadm -a -u 192.0.2.53:53 -r 10.0.0.2:53 -g -w 1',
]

test('Salt: rules are found in what is saved as they were given, and a refusal has a status and a text', async (t) => {
  const ended = await session([
    ...prepared,
    `ipvsadm -E -t ${web} -s wlc`,
    `ipvsadm -e -t ${web} -r 10.0.0.1:80 -g -w 3`,
    'ipvsadm -S -n',
    'ipvsadm -Z',
    `ipvsadm -Z -t ${web}`,
    `ipvsadm -A -t ${web} -s wlc`,
    `ipvsadm -a -t ${web} -r 10.0.0.1:80 -g -w 3`,
    'ipvsadm -D -t 192.0.2.99:80',
    `ipvsadm -d -t ${web} -r 10.0.0.99:80`,
    'ipvsadm -d -t 192.0.2.99:80 -r 10.0.0.99:80',
    `ipvsadm -d -t ${web} -r 10.0.0.1:80`,
    `ipvsadm -D -t ${web}`,
    'ipvsadm -C',
    'ipvsadm -S -n',
  ])
  t.true(ended.slice(0, 6).every((one) => one.rc === 0 && one.stderr === ''))
  const saved = (ended[6]?.stdout ?? '').split('\n').map((line) => `${line} `)
  t.true(saved.some((line) => line.includes(` -t ${web} -s wlc `)))
  t.true(saved.some((line) => line.includes(` -t ${web} -r 10.0.0.1:80 -g -w 3 `)))
  t.deepEqual(ended.slice(7, 9), [silent, silent])
  t.deepEqual(
    ended.slice(9, 14).map(({ rc, stdout, stderr }) => [rc, stdout, stderr]),
    [
      [255, '', 'Service already exists\n'],
      [255, '', 'Destination already exists\n'],
      [255, '', 'No such service\n'],
      [255, '', 'No such destination\n'],
      [255, '', 'Service not defined\n'],
    ],
  )
  t.deepEqual(ended.slice(14), [silent, silent, silent, silent])
})

test('Octavia: the words of the titles, and the columns of UDP services', async (t) => {
  const [listed, counted] = (
    await session([...prepared, 'ipvsadm -Ln', 'ipvsadm -Ln --stats --exact'])
  ).slice(-2)
  const lines = (text = ''): string[] => text.trimEnd().split('\n')
  t.deepEqual(lines(listed?.stdout).slice(1, 3), [
    'Prot LocalAddress:Port Scheduler Flags',
    '  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn',
  ])
  const at = lines(listed?.stdout).findIndex((line) => line.startsWith('UDP '))
  t.deepEqual(
    lines(listed?.stdout)
      .slice(at, at + 2)
      .map((line) => line.trim().split(/\s+/)),
    [
      ['UDP', '192.0.2.53:53', 'rr'],
      ['->', '10.0.0.2:53', 'Route', '1', '0', '0'],
    ],
  )
  t.deepEqual(lines(counted?.stdout)[1]?.split(/\s+/), [
    'Prot',
    'LocalAddress:Port',
    'Conns',
    'InPkts',
    'OutPkts',
    'InBytes',
    'OutBytes',
  ])
  t.is(lines(counted?.stdout)[2], '  -> RemoteAddress:Port')
  const udp = lines(counted?.stdout).find((line) => line.startsWith('UDP '))
  t.deepEqual(udp?.split(/\s+/), ['UDP', '192.0.2.53:53', '0', '0', '0', '0', '0'])
})

test('collectors and cron jobs: long options, options together, an empty table of three lines', async (t) => {
  const lines = [
    'ipvsadm --list --stats --numeric --exact',
    'ipvsadm -Ln --stats --exact',
    'ipvsadm --list --numeric',
    'ipvsadm -ln --sort',
    'ipvsadm -Lnc',
    'ipvsadm --set 30 60 120',
    'ipvsadm -L --timeout',
    'ipvsadm -C',
    'ipvsadm -ln',
    'ipvsadm --version',
  ]
  const ended = (await session([...prepared, ...lines])).slice(prepared.length)
  t.true(ended.every(({ rc, stderr }) => rc === 0 && stderr === ''))
  const [stats, statsAgain, plain, sorted, connections, set, timeouts, clear, empty, version] = ended.map(
    ({ stdout }) => stdout,
  )
  t.is(stats, statsAgain)
  t.is(plain, sorted)
  t.regex(plain ?? '', /^TCP {2}192\.0\.2\.80:80 wrr$/m)
  t.is(connections?.split('\n').length, 3)
  t.deepEqual([set, timeouts, clear], ['', 'Timeout (tcp tcpfin udp): 30 60 120\n', ''])
  t.is(empty?.split('\n').length, 3 + 1)
  t.regex(version ?? '', /^ipvsadm v1\.\d+ /)
})

test('--json goes with every listing', async (t) => {
  const { director } = offlineWeb()
  const shell = await Shell.open(director)
  t.teardown(() => shell.close())
  const listings = [
    '',
    '--stats',
    '--rate',
    '--thresholds',
    '--persistent-conn',
    '--tun-info',
    '-n --nosort',
    `-t ${web}`,
  ]
  for (const options of listings) {
    const { rc, stdout, stderr } = await shell.run(`ipvsadm -L ${options} --json`)
    t.deepEqual([rc, stderr], [0, ''], options)
    const { services } = JSON.parse(stdout)
    t.like(services, { length: 1, 0: { address: '192.0.2.80', servers: { length: 2 } } }, options)
    t.truthy(services[0].traffic && services[0].rates && services[0].servers[0].upperThreshold === 0, options)
  }
})

test('--watch lists again and again until nobody reads', async (t) => {
  const shell = await Shell.open(Director.offline())
  t.teardown(() => shell.close())
  const child = shell.start('ipvsadm -L -n --json --watch 1')
  t.teardown(() => child.kill())
  const ended = new Promise((resolve) => child.on('close', (rc) => resolve(rc)))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  t.is((await lines.next()).value, '{"services":[]}')
  t.is((await shell.run(`ipvsadm -A -t ${web}`)).rc, 0)
  let later: string
  do later = String((await lines.next()).value)
  while (later === '{"services":[]}')
  t.is(JSON.parse(later).services[0].address, '192.0.2.80')
  child.stdout.destroy()
  t.is(await ended, 0)
  t.is((await shell.run('ipvsadm -L --watch 0')).rc, 2)
})
