import type { Command } from '../command.js'
import { arrayOf, object, oneOf } from './check.js'
import type { Check } from './check.js'
import { mark, serverKey, serviceKey } from './key.js'
import { markMatches } from './mark.js'
import { show } from './problems.js'
import { serverSpec, weight } from './server.js'
import { serviceSpec } from './service.js'
import { settings } from './settings.js'

type Of<T extends Command['type']> = Extract<Command, { type: T }>

const checks: { readonly [T in Command['type']]: Check<Of<T>> } = {
  'add-service': object<Of<'add-service'>>({ type: oneOf('add-service'), service: serviceSpec }, ['service']),
  'edit-service': object<Of<'edit-service'>>({ type: oneOf('edit-service'), service: serviceSpec }, [
    'service',
  ]),
  'remove-service': object<Of<'remove-service'>>({ type: oneOf('remove-service'), service: serviceKey }, [
    'service',
  ]),
  clear: object<Of<'clear'>>({ type: oneOf('clear') }, []),
  'add-server': object<Of<'add-server'>>(
    { type: oneOf('add-server'), service: serviceKey, server: serverSpec },
    ['service', 'server'],
  ),
  'edit-server': object<Of<'edit-server'>>(
    { type: oneOf('edit-server'), service: serviceKey, server: serverSpec },
    ['service', 'server'],
  ),
  'set-weight': object<Of<'set-weight'>>(
    { type: oneOf('set-weight'), service: serviceKey, server: serverKey, weight },
    ['service', 'server', 'weight'],
  ),
  'remove-server': object<Of<'remove-server'>>(
    { type: oneOf('remove-server'), service: serviceKey, server: serverKey },
    ['service', 'server'],
  ),
  'define-mark': object<Of<'define-mark'>>({ type: oneOf('define-mark'), mark, matches: markMatches }, [
    'mark',
    'matches',
  ]),
  settings: object<Of<'settings'>>({ type: oneOf('settings'), settings }, ['settings']),
}

const type = oneOf(...(Object.keys(checks) as Command['type'][]))

const command: Check<Command> = (value, path, problems) => {
  if (typeof value !== 'object' || value === null) {
    return problems.add('ERR_DIRECTOR_INVALID_OPTIONS', path, value, `${show(value)} is not a command`)
  }
  const known = type(Reflect.get(value, 'type'), `${path}.type`, problems)
  return known === undefined ? undefined : checks[known](value, path, problems)
}

/** A batch of commands. */
export const commands: Check<Command[]> = arrayOf(command)
