// One director for the benchmark, as a Node program embeds it: options as JSON on the command line,
// one line when it forwards, closed in order when standard input ends.

import { once } from 'node:events'

import { Director, type DirectorOptions } from '../../lib/index.ts'

const director = await Director.start(JSON.parse(process.argv[2] ?? '{}') as DirectorOptions)
process.stdout.write(`${JSON.stringify({ event: 'ready' })}\n`)
process.stdin.resume()
await once(process.stdin, 'end')
await director.close()
