import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DirectorError } from '../errors.js'
import { platformPackage } from '../native.js'
import { packagePlace, packageRequire } from '../package.js'

/** Beside the addon, or where cargo makes it; `bin/ipvsadm` looks in the same places. */
const BUILDS = ['native/build/Release/ipvsadm', 'native/build/Debug/ipvsadm', 'target/release/ipvsadm']

/** The places to look in, in their order; `L4_DIRECTOR_IPVSADM` rules out all others. */
function candidates(): string[] {
  const given = process.env['L4_DIRECTOR_IPVSADM']
  if (given) return [given]
  const { root } = packagePlace()
  const built = root === undefined ? [] : BUILDS.map((path) => join(root, path))
  try {
    return [...built, packageRequire.resolve(`${platformPackage()}/ipvsadm`)]
  } catch {
    return built
  }
}

/**
 * The file of the package's own `ipvsadm` command. Never that of the `PATH`: it could be the one of
 * the kernel.
 *
 * @throws DirectorError `ERR_DIRECTOR_NATIVE_NOT_FOUND` with each path tried and what to do
 */
export function ipvsadmFile(): string {
  const places = candidates()
  const found = places.find((path) => existsSync(path))
  if (found !== undefined) return found
  const message = `there is no ipvsadm command; tried ${places.join(', ')}: 'npx l4-director build' builds it`
  throw new DirectorError('ERR_DIRECTOR_NATIVE_NOT_FOUND', message)
}
