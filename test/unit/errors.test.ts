import test from 'ava'
import { coreError } from '../../lib/binding/outcome.ts'
import { DirectorError, isDirectorError } from '../../lib/index.ts'

test('errors carry a code, a name and their cause', (t) => {
  const cause = new Error('below')
  const error = new DirectorError('ERR_DIRECTOR_CLOSED', 'closed', { cause })
  t.is(error.code, 'ERR_DIRECTOR_CLOSED')
  t.is(error.name, 'DirectorError')
  t.is(error.cause, cause)
  t.true(error instanceof Error)
})

test('errors are known by their brand, also those of another copy of the package', (t) => {
  const foreign = Object.assign(new Error('x'), { [Symbol.for('l4-director.error')]: true })
  t.true(isDirectorError(new DirectorError('ERR_DIRECTOR_CLOSED', 'closed')))
  t.true(isDirectorError(foreign))
  t.false(isDirectorError(new Error('x')))
  t.false(isDirectorError({ code: 'ERR_DIRECTOR_CLOSED' }))
})

test("the core's problems get the paths of the caller's options", (t) => {
  const issue = { command: 1, field: 'weight', value: '7', message: 'too much' }
  const error = coreError(
    { code: 'invalid-options', message: 'refused', issues: [{ code: 'out-of-range', ...issue }] },
    ['', 'servers[0]'],
  )
  t.is(error.code, 'ERR_DIRECTOR_OUT_OF_RANGE')
  t.deepEqual(error.issues, [
    { code: 'ERR_DIRECTOR_OUT_OF_RANGE', field: 'servers[0].weight', value: '7', message: 'too much' },
  ])
  t.is(error.message, 'servers[0].weight: too much')
})

test('several problems become one message with a line for each', (t) => {
  const issues = ['service-exists', 'out-of-range'].map((code, command) => {
    return { code, command, field: 'f', value: '', message: code }
  })
  const error = coreError({ code: 'invalid-options', message: '', issues })
  t.is(error.code, 'ERR_DIRECTOR_INVALID_OPTIONS')
  t.is(error.message, '2 problems:\n  f: service-exists\n  f: out-of-range')
})
