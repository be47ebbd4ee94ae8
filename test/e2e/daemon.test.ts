import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import test, { type ExecutionContext } from 'ava'

import { ControlClient, type ServiceOptions } from '../../lib/index.ts'
import type { LabProcess } from '../lab/lab-process.ts'
import { hostInterface, Lab } from '../lab/topology.ts'

const command = fileURLToPath(new URL('../../bin/l4-director.js', import.meta.url))

/** A daemon's host, its configuration file and its control socket. */
class Host {
  readonly #lab: Lab
  readonly config: string
  readonly control: string

  private constructor(lab: Lab, folder: string) {
    this.#lab = lab
    this.config = join(folder, 'director.json')
    this.control = join(folder, 'control.sock')
  }

  static async open(t: ExecutionContext): Promise<Host> {
    const lab = await Lab.create({ directors: 1, servers: 1 })
    const folder = mkdtempSync(join(tmpdir(), 'l4-daemon-'))
    t.teardown(async () => {
      await lab.close()
      rmSync(folder, { recursive: true, force: true })
    })
    return new Host(lab, folder)
  }

  write(services: readonly ServiceOptions[], more: object = {}): void {
    const file = { interfaces: [hostInterface], control: this.control, connections: 4096, services, ...more }
    writeFileSync(this.config, JSON.stringify(file, null, 2))
  }

  run(name: string): LabProcess {
    return this.#lab.director(1).start(name, [process.execPath, command, 'run', '--config', this.config])
  }

  async started(): Promise<LabProcess> {
    const daemon = this.run('daemon')
    await daemon.message('started')
    return daemon
  }

  filters(): Promise<string> {
    return this.#lab.director(1).run('tc', 'filter', 'show', 'dev', hostInterface, 'ingress')
  }

  client(): Promise<ControlClient> {
    return ControlClient.connect({ path: this.control })
  }
}

function service(port: number, weight = 1): ServiceOptions {
  const servers = [{ address: '10.9.0.1' }, { address: '10.9.0.2', weight }]
  return { protocol: 'tcp', address: '192.0.2.80', port, scheduler: 'sh', servers }
}

test('a daemon starts, reloads by difference, keeps what it has when the file is wrong, and stops', async (t) => {
  const host = await Host.open(t)
  host.write([service(80), service(81)])
  const daemon = await host.started()
  const client = await host.client()
  const { configuration } = await client.snapshot()
  t.is(configuration.services.length, 2)

  host.write([service(80), service(81, 7), service(82)])
  const reloaded = daemon.waitFor('the reload', ({ event }) => event === 'reloaded')
  process.kill(Number((await client.ping()).pid), 'SIGHUP')
  t.like(await reloaded, { level: 'info', commands: 4 })
  const { version } = (await client.snapshot()).configuration

  writeFileSync(
    host.config,
    '{\n  "interfaces": ["x"],\n  "services": [\n    { "protocol": "tcp" }\n  ]\n}\n',
  )
  const error = await t.throwsAsync(client.call('reload'), { code: 'ERR_DIRECTOR_INVALID_OPTIONS' })
  t.regex(error?.message ?? '', /director\.json:4: services\[0\]\.address: is missing/)
  t.like(await daemon.message('reload-refused'), { level: 'error', line: 4, file: host.config })
  t.deepEqual((await client.snapshot()).configuration.version, version)

  host.write([service(80), service(81, 7)], { workers: 2 })
  t.like(await client.call('reload'), { version: { number: version.number + 1 } })
  t.deepEqual((await daemon.message('restart-needed'))['options'], ['workers'])

  t.deepEqual(await daemon.kill('SIGTERM'), { status: 0, signal: null })
  t.is(await host.filters(), '')
  await t.throwsAsync(host.client(), { code: 'ERR_DIRECTOR_CONTROL_SOCKET' })
})

test('a second daemon is refused; after a crash it takes over socket and guard', async (t) => {
  const host = await Host.open(t)
  host.write([service(80)])
  const first = await host.started()
  const second = host.run('second')
  t.like(await second.message('not-started'), { code: 'ERR_DIRECTOR_SERVICE_IN_USE' })
  t.is((await second.exited).status, 1)
  await first.kill('SIGKILL')
  t.not(await host.filters(), '')
  const third = await host.started()
  await using client = await host.client()
  t.is((await client.snapshot()).configuration.services.length, 1)
  await client.call('shutdown')
  t.is((await third.exited).status, 0)
  t.is(await host.filters(), '')
})

test('an idle daemon drains at once; its servers refuse what is new', async (t) => {
  const host = await Host.open(t)
  host.write([service(80)], { drain: { deadlineSeconds: 60, refuseNew: true } })
  const daemon = await host.started()
  t.is((await daemon.kill('SIGTERM')).status, 0)
  t.like(await daemon.message('drained'), { activeConnections: 0 })
})
