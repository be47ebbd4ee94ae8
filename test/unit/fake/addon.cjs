// An addon without a core: it records what it is told and answers what the test says.
const { version } = require('../../../package.json')

const text = JSON.stringify
const directors = []
const notified = []

class BindingDirector {
  constructor() {
    this.commands = []
    this.services = []
    this.events = []
    this.closed = 0
    this.started = Promise.resolve(text({ value: null }))
    this.ended = Promise.resolve(text({ value: null }))
    this.refusal = undefined
    directors.push(this)
    BindingDirector.onMake?.(this)
  }

  start(options, wake) {
    this.wake = wake
    this.options = JSON.parse(options)
    return this.started
  }

  apply(commands) {
    if (this.refusal) return text({ error: this.refusal })
    this.commands.push(...JSON.parse(commands))
    return text({ value: { number: this.commands.length, digest: '0'.repeat(16) } })
  }

  configuration() {
    const version = { number: 0, digest: '0'.repeat(16) }
    return text({ value: { version, services: this.services, settings: {}, marks: [] } })
  }

  takeEvents() {
    return text(this.events.splice(0))
  }

  async statistics() {
    return text({ value: { services: this.services, connections: 0 } })
  }

  async connections(_filter, cursor, limit) {
    const rows = Array.from({ length: limit }, (_, index) => ({ client: `192.0.2.1:${cursor + index}` }))
    return text({ value: { rows, next: cursor === 0 ? limit : null } })
  }

  async explain(flow) {
    return text({ value: { flow: JSON.parse(flow) } })
  }

  async zero() {
    return text({ value: null })
  }

  close() {
    this.closed += 1
    return this.ended
  }

  tell(...events) {
    this.events.push(...events)
    this.wake()
  }
}

function notify(socket, state) {
  if (socket === '/nobody') throw new Error('nobody listens')
  notified.push({ socket, state })
}

module.exports = { version: () => version, notify, notified, BindingDirector, directors }
