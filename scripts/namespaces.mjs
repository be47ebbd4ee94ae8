// Whether this user may make network namespaces, which the end-to-end tests and the demo live in.
import { spawnSync } from 'node:child_process'

const MOUNT = ['sh', '-c', 'mount -t tmpfs lab /run']

function succeeds(...flags) {
  return spawnSync('unshare', [...flags, '--net', '--mount', ...MOUNT], { stdio: 'ignore' }).status === 0
}

/** Why network namespaces cannot be made here; undefined when they can. */
export function whyNoNamespaces() {
  if (process.platform !== 'linux') return `network namespaces need Linux, this is ${process.platform}`
  if (process.getuid() === 0 && succeeds()) return undefined
  if (succeeds('--user', '--map-root-user')) return undefined
  return 'network namespaces are not permitted: run as root, or allow unprivileged user namespaces'
}
