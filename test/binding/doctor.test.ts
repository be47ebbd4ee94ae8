import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import test from 'ava'

const command = fileURLToPath(new URL('../../bin/l4-director.js', import.meta.url))

test('doctor says that clients and servers of the own host are not served', (t) => {
  const { stdout } = spawnSync(process.execPath, [command, 'doctor'], { encoding: 'utf8' })
  t.regex(
    stdout,
    /^note +a director serves clients of other hosts: those on its own host get 'connection refused'/m,
  )
  t.regex(stdout, /its servers, a last resort too, have to be on other hosts/)
})
