import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { ConfigurationFileError, readConfiguration } from '../../lib/daemon/configuration-file.ts'
import type { ConfigurationFile } from '../../lib/daemon/configuration-file.ts'
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
