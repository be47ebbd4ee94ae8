// Facts that the documents repeat from the sources: names of reasons, causes, error codes, events,
// settings, options; the README's program; links between documents.
// Usage: node docs/check-facts.mjs
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (file) => readFileSync(join(root, file), 'utf8')
const problems = []

/** Everything that a pattern's first group finds. */
const all = (text, pattern) => [...text.matchAll(pattern)].map(([, found]) => found)

/** The part of a text from one line to another. */
function between(text, from, to) {
  const start = text.indexOf(from)
  const end = text.indexOf(to, start + from.length)
  if (start < 0 || end < 0) throw new Error(`no text from ${from} to ${to}`)
  return text.slice(start, end)
}

/** Tells what one list has more than the other. */
function compare(what, sources, documents) {
  for (const name of sources)
    if (!documents.includes(name)) problems.push(`${what}: ${name} is not documented`)
  for (const name of documents) if (!sources.includes(name)) problems.push(`${what}: there is no ${name}`)
}

const rows = (section) => all(section, /^\| `([^`]+)` \|/gm)
const operating = read('docs/operating.md')
const api = read('docs/api.md')

for (const [name, heading, file] of [
  ['PassReason', '### `passed`', 'native/engine/src/verdict.rs'],
  ['DropReason', '### `dropped`', 'native/engine/src/verdict.rs'],
  ['ReplyReason', '### `replied`', 'native/engine/src/verdict.rs'],
  ['AdoptionCause', '### `adopted`', 'native/engine/src/event.rs'],
]) {
  const sources = all(between(read(file), `    ${name} {`, '\n}'), /=> "([^"]+)"/g)
  compare(name, sources, rows(between(operating, heading, '\n### ')))
}

const fieldsOf = (file, name) =>
  all(between(read(file), `interface ${name} `, '\n}'), /^ {2}readonly (\w+)\??:/gm)

compare('settings', fieldsOf('lib/settings.ts', 'Settings'), rows(between(operating, '## Settings', '\n## ')))

const startOptions = ['CommonOptions', 'DirectorOptions'].flatMap((name) =>
  fieldsOf('lib/options/start.ts', name),
)
compare('options of start()', startOptions, rows(between(api, '### `Director.start', '\n### ')))

const events = all(between(read('lib/events.ts'), 'interface DirectorEvents ', '\n}'), /^ {2}(\w+): \[/gm)
const eventRows = all(between(api, '## Events', '\n## '), /^\| (`[^|]+`) \|/gm).flatMap((row) =>
  all(row, /`(\w+)`/g),
)
compare('events', events, eventRows)

const codes = all(read('lib/errors.ts'), /^ {2}\| '(ERR_DIRECTOR_\w+)'/gm)
const codeRows = all(between(api, '## Errors', '\n## '), /^\| (`ERR_[^|]+`) \|/gm).flatMap((row) =>
  all(row, /`(\w+)`/g),
)
compare('error codes', codes, codeRows)

const commandText = read('lib/command.ts')
const commands = all(commandText.slice(commandText.indexOf('export type Command =')), /type: '([a-z-]+)'/g)
const commandRows = all(between(api, '## Commands', '\n## '), /^\| (`[^|]+`) \|/gm).flatMap((row) =>
  all(row, /`([a-z-]+)`/g),
)
compare('commands', commands, commandRows)

const index = read('lib/index.ts')
const exported = (kind) =>
  all(index, new RegExp(`^export ${kind}\\{([^}]*)\\}`, 'gm')).flatMap((names) => all(names, /(\w+)/g))
const typeRows = all(api.slice(api.indexOf('## Types')), /^\| (`[^|]+`) \|/gm).flatMap((row) =>
  all(row, /`(\w+)`/g),
)
compare('exported types', exported('type '), typeRows)
for (const name of exported(''))
  if (!new RegExp(`(\`|# )${name}\\b`).test(api)) problems.push(`docs/api.md: ${name} is not named`)

/** Tells which fields a document does not name anywhere. */
function named(document, text, file, ...types) {
  for (const field of types.flatMap((type) => fieldsOf(file, type))) {
    if (!new RegExp(`\\b${field}\\b`).test(text)) problems.push(`${document}: ${field} is not named`)
  }
}
const observed = ['Traffic', 'Statistics', 'InterfaceSnapshot', 'WaitingSnapshot', 'LiveStatistics']
named('docs/operating.md', operating, 'lib/snapshot.ts', ...observed)
named('docs/api.md', api, 'lib/command.ts', 'ServiceAttributes', 'ServerSpec', 'Persistence', 'MarkMatch')
named('docs/api.md', api, 'lib/connection.ts', 'ConnectionRow', 'ConnectionFilter')
named('docs/api.md', api, 'lib/explanation.ts', 'Flow', 'Explanation', 'ScheduleExplanation')
named('docs/api.md', api, 'lib/events.ts', 'AdoptedEvent', 'ServerEvent', 'InterfaceDownEvent', 'LostEvent')

named(
  'docs/daemon.md',
  read('docs/daemon.md'),
  'lib/daemon/daemon-options.ts',
  'DaemonOptions',
  'DrainSettings',
  'ProcSettings',
)
named('docs/control.md', read('docs/control.md'), 'lib/control/counters.ts', 'ControlStatistics')

const [, snippet] = /```ts\n(.*?)```/s.exec(read('README.md')) ?? []
if (snippet !== read('examples/embed.ts')) problems.push('README.md: its program is not examples/embed.ts')

const anchor = (heading) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'SECURITY.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]
for (const document of documents) {
  for (const link of all(read(document), /\]\((?!https?:)([^)]+)\)/g)) {
    const [path, fragment] = link.split('#')
    const file = path === '' ? document : join(dirname(document), path)
    if (!existsSync(join(root, file))) problems.push(`${document}: ${link} leads nowhere`)
    else if (
      fragment &&
      !all(read(file), /^#+ (.+)$/gm)
        .map(anchor)
        .includes(fragment)
    )
      problems.push(`${document}: ${link} names no heading`)
  }
}

for (const problem of problems) process.stdout.write(`${problem}\n`)
process.exitCode = problems.length > 0 ? 1 : 0
