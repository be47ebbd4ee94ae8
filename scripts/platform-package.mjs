// Makes the package of this platform for a release: the addon and the ipvsadm command, prebuilt, in
// npm/PLATFORM, where `napi pre-publish` looks for it.
// Usage: node scripts/platform-package.mjs [BUILD-FOLDER [OUTPUT-FOLDER]]
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { main, root, StepError } from './process.mjs'

const WHOLE = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

function manifest(platform) {
  const { name, version, license, description, engines } = WHOLE
  return {
    name: `${name}-${platform}`,
    version,
    description: `${description}; prebuilt for ${platform}`,
    license,
    engines,
    os: [process.platform],
    cpu: [process.arch],
    libc: ['glibc'],
    main: `director.${platform}.node`,
    files: [`director.${platform}.node`, 'ipvsadm'],
  }
}

await main(() => {
  const platform = `${process.platform}-${process.arch}-gnu`
  const [build = 'native/build/Release', output = `npm/${platform}`] = process.argv.slice(2)
  const [from, to] = [resolve(root, build), resolve(root, output)]
  const { main: addon, ...rest } = manifest(platform)
  const copies = { 'director.node': addon, ipvsadm: 'ipvsadm' }
  for (const built of Object.keys(copies))
    if (!existsSync(join(from, built)))
      throw new StepError(`there is no ${join(from, built)}: npm run build makes it`)
  mkdirSync(to, { recursive: true })
  for (const [built, packed] of Object.entries(copies)) copyFileSync(join(from, built), join(to, packed))
  writeFileSync(join(to, 'package.json'), `${JSON.stringify({ ...rest, main: addon }, undefined, 2)}\n`)
})
