import type { ConnectionRow, OfflineDirector } from '../../lib/index.ts'
import { canonical } from './address.ts'
import { parseEndpoint } from './ipvsadm.ts'
import type { ConnectionRecord, Scenario, ServerRecord, Step } from './recording.ts'

/** Seconds left were read a few ms late and truncated. */
const secondsTolerance = 2

interface Row {
  readonly client: string
  readonly server: string
  readonly state: string
  readonly seconds: number
}

/** Follows a scenario's connections and servers and holds them against the recorded rows. */
export class TableWatch {
  readonly #director: OfflineDirector
  readonly #virtual: string
  /** Whether the scenario's servers are reached by tunnels. */
  readonly tunnels: boolean
  readonly #clients = new Set<string>()
  #before = new Map<string, Row>()
  #servers: readonly ServerRecord[] | undefined

  constructor(director: OfflineDirector, { vip, vport, config }: Scenario) {
    this.#director = director
    this.tunnels = config.ipvsadm.some((line) => line.split(' ').includes('-i'))
    this.#virtual = `${canonical(vip)} ${vport}`
  }

  /** Notes the source of an injected frame: rows of other clients are an earlier scenario's. */
  sent(frame: Buffer): void {
    const ipv4 = frame.readUInt16BE(12) === 0x0800
    this.#clients.add(ipv4 ? frame.toString('hex', 26, 30) : frame.toString('hex', 22, 38))
  }

  compare(step: Step): string[] {
    const rows = this.#rows()
    const differences = step.conns
      ? [
          ...step.conns.flatMap((record) => this.#compareRecord(record, rows)),
          ...this.#unrecorded(step.conns, rows),
        ]
      : []
    for (const [protocol, client] of step.gone ?? []) {
      if (rows.has(`${protocol} ${endpoint(client)}`))
        differences.push(`${protocol} ${client} is still there`)
    }
    this.#servers = step.dests ?? this.#servers
    if (this.#servers && step.conns) differences.push(...this.#compareServers(this.#servers))
    this.#before = rows
    return differences
  }

  #rows(): Map<string, Row> {
    const rows = this.#director.connections().flatMap((row) => {
      const virtual = parseEndpoint(row.virtualAddress)
      if (`${canonical(virtual.address)} ${virtual.port}` !== this.#virtual) return []
      return [[rowKey(row), toRow(row)] as const]
    })
    return new Map(rows)
  }

  #compareRecord(record: ConnectionRecord, rows: ReadonlyMap<string, Row>): string[] {
    const [protocol, client, , server, state, seconds] = record
    const row = rows.get(`${protocol} ${endpoint(client)}`)
    const text = record.join(' ')
    if (!row) return this.#isOurs(client) ? [`no connection, recorded ${text}`] : []
    const late = row.seconds - seconds
    const same = row.server === endpoint(server) && row.state === state
    if (same && late >= 0 && late <= secondsTolerance) return []
    return [`connection ${row.client} ${row.server} ${row.state} ${row.seconds} s, recorded ${text}`]
  }

  /** Rows that are new or changed state and that the recording does not list. */
  #unrecorded(records: readonly ConnectionRecord[], rows: ReadonlyMap<string, Row>): string[] {
    const listed = new Set(records.map(([protocol, client]) => `${protocol} ${endpoint(client)}`))
    return [...rows].flatMap(([key, row]) => {
      const before = this.#before.get(key)
      const unchanged = before?.state === row.state && before.server === row.server
      if (unchanged || listed.has(key)) return []
      return [`connection ${row.client} ${row.server} ${row.state} is not recorded`]
    })
  }

  #isOurs(client: string): boolean {
    return this.#clients.has(canonical(client.split(' ')[0] ?? '')) || this.#before.has(client)
  }

  #compareServers(recorded: readonly ServerRecord[]): string[] {
    const seen = this.#director
      .snapshot()
      .services.filter(
        (service) => 'port' in service && this.#virtual === `${canonical(service.address)} ${service.port}`,
      )
      .flatMap(({ servers }) =>
        servers.map((server) =>
          [
            canonical(server.address),
            server.port,
            server.weight,
            server.activeConnections,
            server.inactiveConnections,
          ].join(' '),
        ),
      )
    const expected = recorded.map(([address, port, , weight, active, inactive]) =>
      [canonical(address), port, weight, active, inactive].join(' '),
    )
    if (seen.join('\n') === expected.join('\n')) return []
    return [
      `servers (address port weight active inactive)\n      ${seen.join('\n      ')}\n    recorded\n      ${expected.join('\n      ')}`,
    ]
  }
}

function rowKey(row: ConnectionRow): string {
  const client = parseEndpoint(row.client)
  return `${(row.protocol ?? 'ip').toUpperCase()} ${canonical(client.address)} ${client.port}`
}

function toRow(row: ConnectionRow): Row {
  const server = parseEndpoint(row.server)
  return {
    client: row.client,
    server: `${canonical(server.address)} ${server.port}`,
    state: row.state,
    seconds: Math.ceil(row.expiresInMs / 1000),
  }
}

/** One spelling of the recorded `address port`. */
function endpoint(text: string): string {
  const [address = '', port = ''] = text.split(' ')
  return `${canonical(address)} ${port}`
}
