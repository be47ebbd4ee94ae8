import { execFile } from 'node:child_process'
import { chmodSync, lstatSync } from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { peer, served } from './control-peer.ts'

/** A user without any rights. */
const nobody = 65_534

/** Connects, and prints what comes. */
const attempt = `
const socket = require('node:net').connect(process.argv[1])
socket.on('error', (error) => console.log(JSON.stringify({ error: { code: error.code } })))
socket.pipe(process.stdout)`

async function asNobody(path: string): Promise<unknown> {
  const options = { uid: nobody, gid: nobody, cwd: '/', env: {}, timeout: 20_000 }
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', attempt, path], options)
  return JSON.parse(stdout)
}

test('another user is denied, even where the mode of the socket lets everybody in', async (t) => {
  const { server } = await served(t)
  if (process.geteuid?.() !== 0) {
    // Only root can be another user; for others the mode alone is looked at.
    t.is(lstatSync(server.path).mode % 0o1000, 0o600)
    return
  }
  chmodSync(dirname(server.path), 0o755)
  t.like(await asNobody(server.path), { error: { code: 'EACCES' } })
  t.is(server.statistics.denied, 0)

  chmodSync(server.path, 0o666)
  t.like(await asNobody(server.path), { id: null, error: { code: 'ERR_DIRECTOR_CONTROL_DENIED' } })
  t.like(server.statistics, { denied: 1, accepted: 0, answered: 0, clients: 0 })
  t.like(await peer(t, server).ask('ping'), { result: { name: 'l4-director' } })
})
