export type {
  AddressServiceKey,
  Command,
  Family,
  ForwardingMethod,
  MarkMatch,
  MarkServiceKey,
  MhFlag,
  PlainFlag,
  Persistence,
  PersistenceEngine,
  Protocol,
  RangeServiceKey,
  SchedulerFlag,
  SchedulerName,
  ServerKey,
  ServerSpec,
  ServiceAttributes,
  ServiceKey,
  ServiceSpec,
  ShFlag,
  Tunnel,
  TunnelConfiguration,
} from './command.js'
export { ConfigurableDirector } from './configurable.js'
export type { Configuration, ConfiguredService, MarkDefinition } from './configuration.js'
export type { ConnectionFilter, ConnectionRow } from './connection.js'
export { ControlClient } from './control/client.js'
export type { ControlClientOptions, ControlSnapshot } from './control/client.js'
export type { ControlFault } from './control/protocol.js'
export type { ControlEvent, ControlEventData, ControlEventName } from './control/subscribe-params.js'
export type { ControlStatistics } from './control/counters.js'
export { ControlServer } from './control/server.js'
export { difference } from './difference.js'
export { Director } from './director.js'
export type { DrainOptions } from './drain.js'
export { DirectorError, isDirectorError } from './errors.js'
export type { DirectorErrorCode, Issue } from './errors.js'
export type {
  AdoptedEvent,
  AdoptionCause,
  DirectorEvents,
  InterfaceDownEvent,
  InterfaceDownReason,
  InterfaceEvent,
  LostEvent,
  RecoveredEvent,
  ServerEvent,
} from './events.js'
export type { Explanation, Flow, ScheduleExplanation, ServerReference } from './explanation.js'
export { nativeInfo } from './native.js'
export type { NativeInfo } from './native.js'
export { OfflineDirector } from './offline-director.js'
export type { OfflineOptions } from './options/offline.js'
export type { ServerEdit, ServerOptions } from './options/server.js'
export type { SchedulerOptions, ServiceEdit, ServiceOptions } from './options/service.js'
export type { CommonOptions, DirectorOptions, Logger, SloppyOptions, Spread } from './options/start.js'
export { RealServer } from './real-server.js'
export type { Settings, SettingsPatch } from './settings.js'
export type {
  FailureSnapshot,
  HopSnapshot,
  InterfaceSnapshot,
  LiveStatistics,
  NamedCounter,
  ServerConfiguration,
  ServerSnapshot,
  ServiceConfiguration,
  ServiceIdentity,
  ServiceSnapshot,
  Statistics,
  Traffic,
  Version,
  WaitingSnapshot,
} from './snapshot.js'
export type { DefenceSnapshot, FragmentStatistics, Rates } from './counters.js'
export type { StatisticsOptions } from './statistics.js'
export type { FrameMeta, HopOptions, OfflineResult, OutgoingFrame, VerdictServer } from './verdict.js'
export { VirtualService } from './virtual-service.js'
