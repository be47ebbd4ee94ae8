import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import type { LabProcess } from './lab-process.ts'
import type { Namespace } from './namespace.ts'

/** Options of a traffic program: `{ connect: '…', rate: 50, ignoreStdin: true }`. */
export type PeerOptions = Readonly<Record<string, string | number | boolean | readonly string[]>>

/** The traffic programs of `test/peers`. */
export type PeerProgram =
  | 'tcp-server'
  | 'tcp-long'
  | 'tcp-short'
  | 'bulk-server'
  | 'bulk-client'
  | 'udp-echo'
  | 'udp-client'
  | 'sctp-server'
  | 'sctp-client'
  | 'decapsulator'
  | 'udp-flood'
  | 'tcp-flood'
  | 'forward'

const built = fileURLToPath(new URL('../../target/release/peers', import.meta.url))

/** Where the traffic programs are: `L4_PEERS`, or where cargo puts them. */
export function peersBinary(): string {
  const path = process.env['L4_PEERS'] ?? built
  if (!existsSync(path)) {
    throw new Error(`${path} does not exist: cargo build --release -p l4-director-peers makes it`)
  }
  return path
}

/** Starts a traffic program in a namespace. */
export function startPeer(
  namespace: Namespace,
  program: PeerProgram,
  options: PeerOptions = {},
  name: string = program,
): LabProcess {
  return namespace.start(name, [peersBinary(), program, ...words(options)])
}

/** Starts a server program and resolves once it listens. */
export async function startServer(
  namespace: Namespace,
  program: PeerProgram,
  options: PeerOptions,
  name: string,
): Promise<LabProcess> {
  const server = startPeer(namespace, program, { ...options, name }, name)
  await server.message('listening')
  return server
}

/** `ADDRESS:PORT`, with brackets around an IPv6 address. */
export function socketAddress(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

function words(options: PeerOptions): string[] {
  return Object.entries(options).flatMap(([key, value]) => {
    const option = `--${key.replaceAll(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`)}`
    if (typeof value === 'boolean') return value ? [option] : []
    return [option, Array.isArray(value) ? value.join(',') : String(value)]
  })
}
