import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const NAME = 'l4-director'

/** Version of this package. Not read from a file: beside a bundle, `package.json` is another program's. */
export const PACKAGE_VERSION = '0.1.0'

/** The file that this code runs from: one of the package's, or a bundle. */
const own = ownFile()

/** Loads and looks up what Node finds from here. */
export const packageRequire: NodeJS.Require = createRequire(own)

/** Where the package is. */
export interface PackagePlace {
  /** Its folder; none when this code is in a bundle and the package is not installed beside it. */
  readonly root?: string
  /** The bundle, when this code is in one. */
  readonly bundle?: string
}

/** Finds the package's folder, also from a bundle whose program has the package installed. */
export function packagePlace(): PackagePlace {
  const parent = resolve(dirname(own), '..')
  if (isPackage(parent)) return { root: parent }
  try {
    return { root: dirname(packageRequire.resolve(`${NAME}/package.json`)), bundle: own }
  } catch {
    return { bundle: own }
  }
}

/** A bundle of CommonJS modules has no `import.meta.url`, and one that is no file has no path. */
function ownFile(): string {
  const { url } = import.meta as { url?: string }
  if (url?.startsWith('file:')) return fileURLToPath(url)
  if (typeof __filename === 'string' && isAbsolute(__filename)) return __filename
  return resolve('bundle.js')
}

function isPackage(folder: string): boolean {
  try {
    const { name } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: unknown }
    return name === NAME
  } catch {
    return false
  }
}
