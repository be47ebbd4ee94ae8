import type { DirectorEvents } from '../events.js'
import { arrayOf, integer, object, oneOf } from '../options/check.js'
import type { Check } from '../options/check.js'
import type { ControlFault } from './protocol.js'

/** The events of a director that a control socket tells; `error` is told without being handled. */
export const CONTROL_EVENTS = [
  'adopted',
  'serverQuiesced',
  'serverDrained',
  'interfaceDown',
  'interfaceUp',
  'recovered',
  'eventsLost',
  'error',
  'close',
] as const

/** Name of such an event. */
export type ControlEventName = (typeof CONTROL_EVENTS)[number]

/** What is told of each event: what its listeners get; of an error its code, message and issues. */
export type ControlEventData = {
  readonly [K in ControlEventName]: K extends 'error'
    ? ControlFault
    : DirectorEvents[K] extends [infer Data]
      ? Data
      : Readonly<Record<never, never>>
}

/** An event that a client was told. */
export type ControlEvent<K extends ControlEventName = ControlEventName> = {
  readonly [N in K]: {
    /** Which. */
    readonly name: N
    /** What about. */
    readonly data: ControlEventData[N]
  }
}[K]

/** What a client wants to be told. */
export interface SubscribeParams {
  /** These events. Default: none. */
  readonly events?: readonly ControlEventName[]
  /** Statistics at an interval, the first at once. Default: none. */
  readonly statistics?: {
    /** Milliseconds between two, 100 to 86400000. */
    readonly intervalMs: number
  }
}

/** What `subscribe` accepts. */
export const subscribeParams: Check<SubscribeParams> = object<SubscribeParams>(
  {
    events: arrayOf(oneOf(...CONTROL_EVENTS), 0, CONTROL_EVENTS.length),
    statistics: object<NonNullable<SubscribeParams['statistics']>>({ intervalMs: integer(100, 86_400_000) }, [
      'intervalMs',
    ]),
  },
  [],
)
