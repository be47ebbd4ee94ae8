import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { CoreDirector } from '../../../lib/binding/core.ts'
import type { CoreError, OutcomeText } from '../../../lib/binding/outcome.ts'
import type { Command } from '../../../lib/command.ts'
import type { CoreEvent } from '../../../lib/events.ts'
import { Director } from '../../../lib/index.ts'
import type { DirectorOptions } from '../../../lib/index.ts'

/** The core that a test holds the strings of. */
export interface FakeCore extends CoreDirector {
  commands: Command[]
  services: unknown[]
  events: CoreEvent[]
  options: unknown
  closed: number
  started: Promise<OutcomeText<null>>
  ended: Promise<OutcomeText<null>>
  refusal: CoreError | undefined
  tell(...events: CoreEvent[]): void
}

/** What the service manager was told, and where. */
export interface Notified {
  readonly socket: string
  readonly state: string
}

interface FakeAddon {
  notified: Notified[]
  directors: FakeCore[]
  BindingDirector: { onMake: ((core: FakeCore) => void) | undefined }
}

const path = fileURLToPath(new URL('addon.cjs', import.meta.url))
process.env['DIRECTOR_NATIVE_PATH'] = path
const addon = createRequire(import.meta.url)(path) as FakeAddon

/** Takes what the service manager was told. */
export function takeNotified(): Notified[] {
  return addon.notified.splice(0)
}

/** Starts a director on a fake core; `prepare` sets the core up before it is started. */
export async function startFake(
  options: Partial<DirectorOptions> = {},
  prepare?: (core: FakeCore) => void,
): Promise<{ director: Director; core: FakeCore }> {
  let made: FakeCore | undefined
  addon.BindingDirector.onMake = (core) => {
    made = core
    prepare?.(core)
  }
  const director = await Director.start({ interfaces: ['eth0'], ...options })
  if (made === undefined) throw new Error('no core was made')
  return { director, core: made }
}

/** A service as the core lists it. */
export function service(
  port: number,
  servers: readonly { address: string; weight: number; active: number }[],
): unknown {
  return {
    protocol: 'tcp',
    address: '192.0.2.80',
    port,
    scheduler: 'sh',
    flags: [],
    sloppy: null,
    persistence: null,
    persistenceEngine: null,
    onePacket: false,
    servers: servers.map(({ address, weight, active }) => ({
      address,
      port,
      weight,
      forwarding: 'direct-routing',
      tunnel: null,
      upperThreshold: 0,
      lowerThreshold: 0,
      activeConnections: active,
      inactiveConnections: 0,
      persistentConnections: 0,
    })),
  }
}
