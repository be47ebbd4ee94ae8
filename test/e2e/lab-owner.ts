// Owns a lab with programs in it until it is killed. See lab.test.ts.

import { Lab } from '../lab/topology.ts'

const lab = await Lab.create({ directors: 1, servers: 1 })
// Neither ends by itself: `cat` would at the end of its input, which it never reaches.
const programs = [lab.director(1), lab.server(1)].map((host) =>
  host.start(host.name, ['sh', '-c', 'echo \'{"event":"ready"}\'; exec cat']),
)
await Promise.all(programs.map((program) => program.message('ready')))
const pids = programs.map((program) => program.pid)
process.stdout.write(`${JSON.stringify({ event: 'ready', pids })}\n`)
