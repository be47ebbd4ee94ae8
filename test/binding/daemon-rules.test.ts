import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { ConfigurationFileError, readConfiguration } from '../../lib/daemon/configuration-file.ts'
import type { ConfigurationFile } from '../../lib/daemon/configuration-file.ts'
import { sourceOf } from '../../lib/daemon/main.ts'
import { scratch } from './control-peer.ts'
import { webKey } from './web.ts'

process.env['L4_DIRECTOR_IPVSADM'] = fileURLToPath(new URL('fake-ipvsadm.mjs', import.meta.url))

/** Reads a configuration of one service, which names these saved rules. */
function withRules(t: ExecutionContext, rules: string): Promise<ConfigurationFile> {
  const folder = scratch(t)
  writeFileSync(join(folder, 'saved.rules'), rules)
  const services = [{ ...webKey, scheduler: 'sh', servers: [{ address: '10.0.0.1' }] }]
  const file = join(folder, 'director.json')
  writeFileSync(file, JSON.stringify({ interfaces: ['eth0'], rules: 'saved.rules', services }))
  return readConfiguration(file)
}

test.serial('saved rules come after the services of the file', async (t) => {
  const { configuration } = await withRules(t, '-A -t 192.0.2.81:81 -s rr\n-A -t 192.0.2.82:82 -s wlc\n')
  t.like(configuration.services, {
    0: { ...webKey, servers: [{ address: '10.0.0.1' }] },
    1: { address: '192.0.2.81', port: 81, scheduler: 'rr' },
    2: { address: '192.0.2.82', port: 82, scheduler: 'wlc' },
  })
})

test.serial('saved rules alone are a configuration, with interfaces beside them', async (t) => {
  const rules = join(scratch(t), 'saved.rules')
  writeFileSync(rules, '-A -t 192.0.2.81:81 -s rr\n')
  const source = sourceOf(['--rules', rules, '--interface', 'eth0', '--interface', 'eth1', '--control', '/c'])
  t.deepEqual(source, { rules, interfaces: ['eth0', 'eth1'], control: '/c' })
  const { options, configuration } = await readConfiguration(source ?? t.fail())
  t.like(options, { interfaces: ['eth0', 'eth1'], control: '/c' })
  t.like(configuration.services, { length: 1, 0: { address: '192.0.2.81', port: 81, scheduler: 'rr' } })
  await t.throwsAsync(readConfiguration({ rules, interfaces: ['x'.repeat(16)] }), {
    message: /command line:1: interfaces\[0\]/,
  })
})

test.serial('arguments that do not go together are refused', (t) => {
  t.is(sourceOf([]), '/etc/l4-director.json')
  t.is(sourceOf(['--config', 'one']), 'one')
  t.is(sourceOf(['--rules', 'one']), undefined)
  t.is(sourceOf(['--rules', 'one', '--interface', 'eth0', '--config', 'two']), undefined)
  t.is(sourceOf(['--interface', 'eth0']), undefined)
  t.is(sourceOf(['--config', 'one', '--control', '/c']), undefined)
})

test.serial('each refused line is told with its number, as the command says it', async (t) => {
  const rules =
    '-A -t 192.0.2.81:81 -s rr\n\n-A -t 192.0.2.81:81 -s rr\nnonsense\n-A -t 192.0.2.82:82 -s rr\n'
  const error = await t.throwsAsync(withRules(t, rules), { instanceOf: ConfigurationFileError })
  t.deepEqual(
    error.issues.map(({ line, message }) => [line, message]),
    [
      [3, 'refused: ERR_DIRECTOR_SERVICE_EXISTS'],
      [4, 'refused: ERR_DIRECTOR_INVALID_OPTIONS'],
    ],
  )
  t.regex(error.file, /saved\.rules$/)
})

test.serial('rules that are not there, and a command that is not, are told', async (t) => {
  const file = join(scratch(t), 'director.json')
  writeFileSync(file, '{"interfaces":["eth0"],"rules":"none"}')
  await t.throwsAsync(readConfiguration(file), {
    instanceOf: ConfigurationFileError,
    message: /none:1: ENOENT/,
  })
  const command = process.env['L4_DIRECTOR_IPVSADM']
  process.env['L4_DIRECTOR_IPVSADM'] = '/nonexistent/ipvsadm'
  t.teardown(() => {
    process.env['L4_DIRECTOR_IPVSADM'] = command
  })
  await t.throwsAsync(withRules(t, ''), { code: 'ERR_DIRECTOR_NATIVE_NOT_FOUND' })
})
