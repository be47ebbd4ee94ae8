import type { Command, ServiceKey } from '../command.js'
import type { ConfigurableDirector } from '../configurable.js'
import type { ConnectionFilter } from '../connection.js'
import { DirectorError } from '../errors.js'
import type { Flow } from '../explanation.js'
import { checked, integer, object } from '../options/check.js'
import type { Check } from '../options/check.js'
import { connectionFilter } from '../options/connections.js'
import { serviceKey } from '../options/key.js'
import { Problems } from '../options/problems.js'
import { PACKAGE_VERSION } from '../package.js'
import type { ControlStatistics } from './counters.js'
import { subscribeParams } from './subscribe-params.js'
import type { SubscribeParams } from './subscribe-params.js'

/** What the methods of one client work with. */
export interface MethodContext {
  /** The director that is served. */
  readonly director: ConfigurableDirector
  /** What the socket has seen. */
  readonly statistics: () => ControlStatistics
  /** Begins a subscription under the number of the request. */
  readonly subscribe: (id: number, params: SubscribeParams) => void
  /** Ends a subscription. */
  readonly unsubscribe: (id: number) => void
}

/** Carries out a request; what it answers or resolves with is the result. */
export type Method = (params: unknown, context: MethodContext, id: number) => unknown

const CURSOR_MAX = 4_294_967_295
const PAGE_ROWS_MAX = 4096

/** Leaves the value as it is: whoever it is handed to checks it. */
const unchecked: Check<unknown> = (value) => value

const none = object<Record<never, never>>({}, [])
const applyParams = object<{ commands: unknown }>({ commands: unchecked }, ['commands'])
const snapshotParams = object<{ service?: ServiceKey }>({ service: serviceKey }, [])
const zeroParams = object<{ service?: unknown }>({ service: unchecked }, [])
const explainParams = object<{ flow: unknown }>({ flow: unchecked }, ['flow'])
const unsubscribeParams = object<{ subscription: number }>(
  { subscription: integer(0, Number.MAX_SAFE_INTEGER) },
  ['subscription'],
)
const connectionsParams = object<{ filter?: ConnectionFilter; cursor?: number; limit?: number }>(
  { filter: connectionFilter, cursor: integer(0, CURSOR_MAX), limit: integer(1, PAGE_ROWS_MAX) },
  [],
)

const read = <T>(check: Check<T>, params: unknown): T => checked(check, params, new Problems())

/** What every control socket serves. */
export const methods: Readonly<Record<string, Method>> = {
  ping: (params) => {
    read(none, params)
    return { name: 'l4-director', version: PACKAGE_VERSION, pid: process.pid }
  },
  apply: (params, { director }) => {
    const { commands } = read(applyParams, params)
    return { version: director.apply(commands as readonly Command[]) }
  },
  snapshot: async (params, { director, statistics }) => {
    const { service } = read(snapshotParams, params)
    const counted = await director.snapshot(service)
    const configuration = service === undefined ? director.configuration : director.configurationOf(service)
    return { configuration, statistics: counted, control: statistics() }
  },
  connections: async (params, { director }) => {
    const { filter = {}, cursor = 0, limit = PAGE_ROWS_MAX } = read(connectionsParams, params)
    const { rows, next } = await director.connectionPage(filter, cursor, limit)
    return { rows, cursor: next }
  },
  zero: async (params, { director }) => {
    await director.zero(read(zeroParams, params).service as ServiceKey | undefined)
    return {}
  },
  explain: (params, { director }) => director.explain(read(explainParams, params).flow as Flow),
  subscribe: (params, { subscribe }, id) => {
    subscribe(id, read(subscribeParams, params))
    return {}
  },
  unsubscribe: (params, { unsubscribe }) => {
    unsubscribe(read(unsubscribeParams, params).subscription)
    return {}
  },
}

/** The refusal of a method that is not served. */
export function unknownMethod(method: string, served: readonly string[]): DirectorError {
  const message = `method: ${JSON.stringify(method.slice(0, 64))} is not served; served are ${served.join(', ')}`
  return new DirectorError('ERR_DIRECTOR_CONTROL_METHOD', message)
}
