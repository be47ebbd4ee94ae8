#!/usr/bin/env node
// Stands in for `ipvsadm -R` where only that is of interest what the daemon makes of it: knows lines
// of the form `-A -t ADDRESS:PORT -s SCHEDULER`.
import { connect } from 'node:net'
import { createInterface } from 'node:readline'

const socket = connect(process.env.L4_DIRECTOR_CONTROL)
const answers = createInterface({ input: socket })[Symbol.asyncIterator]()
for await (const line of createInterface({ input: process.stdin })) {
  const [, address, port, scheduler] = /^-A -t ([\d.]+):(\d+) -s (\w+)$/.exec(line) ?? []
  const service = { protocol: 'tcp', address, port: Number(port), scheduler }
  const params = { commands: [{ type: 'add-service', service }] }
  socket.write(`${JSON.stringify({ version: 1, id: 1, method: 'apply', params })}\n`)
  const { value } = await answers.next()
  const { error } = JSON.parse(value)
  if (error) process.stderr.write(`refused: ${error.code}\n`)
}
socket.end()
