// Whether this user may make network namespaces, and what has to stand before a command that does.
import { spawnSync } from 'node:child_process'

function succeeds(command, args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

function isRoot() {
  return process.getuid?.() === 0 && succeeds('unshare', ['--net', '--mount', 'true'])
}

// `ip netns` keeps its names below /run, which a plain user's namespaces cannot write to otherwise.
const USER_NAMESPACE = ['unshare', '--user', '--map-root-user', '--net', '--mount', 'sh', '-c']
const OWN_RUN = 'mount -t tmpfs tmpfs /run && exec "$0" "$@"'

/** `{prefix}` for commands that make network namespaces, or `{whyNot}`. */
export function namespaces() {
  if (process.platform !== 'linux')
    return { whyNot: `network namespaces need Linux, this is ${process.platform}` }
  if (isRoot()) return { prefix: [] }
  const [command, ...args] = USER_NAMESPACE
  if (succeeds(command, [...args, OWN_RUN, 'true'])) return { prefix: [...USER_NAMESPACE, OWN_RUN] }
  return {
    whyNot: 'network namespaces are not permitted: run as root, or allow unprivileged user namespaces',
  }
}
