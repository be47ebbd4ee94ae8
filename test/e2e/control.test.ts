import { existsSync, lstatSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import test from 'ava'

import { ControlClient } from '../../lib/index.ts'
import { directorOptions } from '../lab/director-options.ts'
import { DirectorProgram } from '../lab/director-program.ts'
import { hostInterface, Lab } from '../lab/topology.ts'

// The option `control` of a program that embeds a director.

const starter = fileURLToPath(new URL('../../bin/ipvsadm', import.meta.url))

test('one option opens the control socket; it goes with the director, or is taken over after a crash', async (t) => {
  const lab = await Lab.create({ directors: 1, servers: 1 })
  t.teardown(() => lab.close())
  const folder = mkdtempSync(join(tmpdir(), 'l4-control-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const control = join(folder, 'control.sock')
  const start = (path: string): Promise<DirectorProgram> =>
    DirectorProgram.start(lab, 1, directorOptions({ servers: 1, more: { connections: 4096, control: path } }))
  const filters = (): Promise<string> =>
    lab.director(1).run('tc', 'filter', 'show', 'dev', hostInterface, 'ingress')

  await t.throwsAsync(start('/nonexistent/folder/control.sock'), { message: /ERR_DIRECTOR_CONTROL_SOCKET/ })
  t.is(await filters(), '')

  await (await start(control)).kill()
  t.true(lstatSync(control).isSocket())
  const director = await start(control)
  t.teardown(() => director.kill())
  await using client = await ControlClient.connect({ path: control })
  const [service] = (await client.snapshot()).configuration.services
  t.like(service, { scheduler: 'sh', servers: { length: 1 } })
  // A socket in the file system is reached from every network namespace.
  const listed = await lab.server(1).run('env', `L4_DIRECTOR_CONTROL=${control}`, starter, '-L', '-n')
  t.is(listed.split('\n').length, 3 + 2 + 1)
  t.is((await director.close()).status, 0)
  t.false(existsSync(control))
})
