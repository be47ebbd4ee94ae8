import type { Socket } from 'node:net'
import { nativeAddon } from '../native.js'

/** Who connected. */
export interface Peer {
  /** Process; 0 when it cannot be seen from here. */
  readonly pid: number
  /** User. */
  readonly uid: number
  /** Group. */
  readonly gid: number
}

/** Who connected; undefined when the kernel does not say. */
export function peerOf(socket: Socket): Peer | undefined {
  // Node has no SO_PEERCRED and no public way to a socket's file descriptor; this is where it keeps it.
  const handle: unknown = Reflect.get(socket, '_handle')
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined
  if (typeof fd !== 'number') return undefined
  try {
    return nativeAddon().peer(fd)
  } catch {
    return undefined
  }
}

/**
 * Whether somebody may control the director: its own user, and root. Mode 0600 says the same, but a
 * mode can be changed, and a socket handed on.
 */
export function mayControl(peer: Peer | undefined): boolean {
  return peer !== undefined && (peer.uid === 0 || peer.uid === process.geteuid?.())
}
