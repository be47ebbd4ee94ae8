import type { CoreOfflineDirector } from './binding/core.js'
import { unwrap } from './binding/outcome.js'
import { textOf } from './binding/text.js'
import type { ServiceKey } from './command.js'
import { ConfigurableDirector } from './configurable.js'
import type { ConnectionFilter, ConnectionPage, ConnectionRow } from './connection.js'
import type { DrainOptions } from './drain.js'
import type { Explanation, Flow } from './explanation.js'
import { nativeAddon } from './native.js'
import { address, checked, integer } from './options/check.js'
import { connectionFilter, flow as flowCheck } from './options/connections.js'
import { keyOrNull } from './options/key.js'
import {
  frame as frameCheck,
  frameMeta,
  frames as framesCheck,
  hop as hopCheck,
  offlineOptions,
} from './options/offline.js'
import type { OfflineOptions } from './options/offline.js'
import { Problems } from './options/problems.js'
import { checkSloppy, initialBatch } from './options/start.js'
import type { Statistics } from './snapshot.js'
import type { FrameMeta, HopOptions, OfflineResult, OutgoingFrame } from './verdict.js'

const PAGE_ROWS = 1024
const ADVANCE_MS_MAX = 1e12

/**
 * A director without sockets, threads or privileges, on a clock that stands still until `advance()`:
 * the same engine as live. Frames go in, verdicts and frames come out.
 */
export class OfflineDirector extends ConfigurableDirector {
  readonly #core: CoreOfflineDirector

  /**
   * @throws DirectorError for refused options; `ERR_DIRECTOR_NATIVE_NOT_FOUND` without the native addon
   * @internal
   */
  constructor(options: OfflineOptions = {}) {
    super()
    const problems = new Problems()
    const accepted = offlineOptions(options, '', problems)
    checkSloppy(accepted, problems)
    problems.throwIfAny()
    const { connections, seed } = accepted ?? {}
    const { BindingOfflineDirector } = nativeAddon()
    this.#core = new BindingOfflineDirector({
      ...(connections === undefined ? {} : { connections }),
      ...(seed === undefined ? {} : { seed }),
    })
    this.begin(initialBatch(accepted ?? {}))
  }

  /** The virtual clock, in milliseconds since the director was made. */
  get now(): number {
    return this.#core.now()
  }

  /**
   * Judges one Ethernet frame, as if it came in now. A malformed frame is no error: it is dropped, with the reason.
   *
   * @throws DirectorError `ERR_DIRECTOR_INVALID_OPTIONS`, `ERR_DIRECTOR_OUT_OF_RANGE` for arguments of the wrong kind
   */
  process(frame: Uint8Array, meta: FrameMeta = {}): OfflineResult {
    const problems = new Problems()
    const octets = frameCheck(frame, 'frame', problems) ?? frame
    const result = this.#core.process(octets, checked(frameMeta, meta, problems, 'meta'))
    this.#settle()
    return result
  }

  /**
   * Judges Ethernet frames one after the other, as `process()` does, and answers in their order. `meta`
   * is true of each of them. Nothing is judged when one of them is no `Uint8Array`.
   *
   * @throws DirectorError `ERR_DIRECTOR_INVALID_OPTIONS`, `ERR_DIRECTOR_OUT_OF_RANGE` for arguments of the wrong kind
   */
  processAll(frames: readonly Uint8Array[], meta: FrameMeta = {}): OfflineResult[] {
    const problems = new Problems()
    const accepted = framesCheck(frames, 'frames', problems) ?? frames
    const results = this.#core.processAll(accepted, checked(frameMeta, meta, problems, 'meta'))
    this.#settle()
    return results
  }

  /** Takes the frames that waited for a hardware address and may leave since `setHop()`. */
  takeReleased(): OutgoingFrame[] {
    return this.#core.takeReleased()
  }

  /**
   * Lets time pass, 0 to 10^12 milliseconds: connections expire, timers run.
   *
   * @throws DirectorError `ERR_DIRECTOR_OUT_OF_RANGE`
   */
  advance(milliseconds: number): void {
    this.#core.advance(checked(integer(0, ADVANCE_MS_MAX), milliseconds, new Problems(), 'milliseconds'))
    this.#settle()
  }

  /**
   * States the way to the server with this address. Before that, every server can be reached by
   * interface 1 with an MTU of 1500.
   *
   * @throws DirectorError `ERR_DIRECTOR_INVALID_ADDRESS`, `ERR_DIRECTOR_OUT_OF_RANGE`, `ERR_DIRECTOR_INVALID_OPTIONS`
   */
  setHop(server: string, hop: HopOptions): void {
    const problems = new Problems()
    address(server, 'server', problems)
    unwrap(this.#core.setHop(server, textOf(checked(hopCheck, hop, problems, 'hop'))))
    this.#settle()
  }

  /** All counters, now; of the services only those of one, if it is named: none if there is no such service. */
  snapshot(service?: ServiceKey): Statistics {
    return unwrap(this.#core.statistics(textOf(keyOrNull(service))))
  }

  /** Sets the traffic counters of a service, or of all, to zero (`ipvsadm -Z`); those of verdicts go on. */
  zero(service?: ServiceKey): void {
    unwrap(this.#core.zero(textOf(keyOrNull(service))))
  }

  /** The entries of the connection table that pass a filter. */
  connections(filter: ConnectionFilter = {}): ConnectionRow[] {
    const accepted = checked(connectionFilter, filter, new Problems())
    const rows: ConnectionRow[] = []
    for (let cursor: number | null = 0; cursor !== null;) {
      const page = this.connectionPage(accepted, cursor, PAGE_ROWS)
      rows.push(...page.rows)
      cursor = page.next
    }
    return rows
  }

  /** @internal */
  connectionPage(filter: ConnectionFilter, cursor: number, limit: number): ConnectionPage {
    return unwrap(this.#core.connections(textOf(filter), cursor, limit))
  }

  /**
   * Says where the next packet of a flow goes, and why. A frame is asked about by its flow.
   *
   * @throws DirectorError `ERR_DIRECTOR_INVALID_OPTIONS`, also for a frame without TCP, UDP or SCTP ports
   */
  explain(flow: Flow | Uint8Array): Explanation {
    if (flow instanceof Uint8Array) return unwrap(this.#core.explainFrame(flow))
    return unwrap(this.#core.explain(textOf(checked(flowCheck, flow, new Problems()))))
  }

  /** @internal */
  protected override core(): CoreOfflineDirector {
    return this.#core
  }

  /** @internal */
  protected override drainedWait(service: ServiceKey, server: string, options: DrainOptions): Promise<void> {
    const drained = this.drains.wait(service, server, options)
    this.drains.check(this.snapshot())
    return drained
  }

  /** Tells what happened, and lets go who waited for it. */
  #settle(): void {
    this.tellAll(this.#core.takeEvents())
    if (!this.drains.idle) this.drains.check(this.snapshot())
  }
}
