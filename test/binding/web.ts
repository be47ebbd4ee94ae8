import { Director } from '../../lib/index.ts'
import type { OfflineDirector, OfflineOptions, VirtualService } from '../../lib/index.ts'

/** Identity of the service of these tests. */
export const webKey = { protocol: 'tcp', address: '192.0.2.80', port: 80 } as const

/** An offline director with one service and servers 10.0.0.11 onward. */
export function offlineWeb(
  servers = 2,
  options: OfflineOptions = {},
): { director: OfflineDirector; web: VirtualService } {
  const director = Director.offline(options)
  const web = director.addService({
    ...webKey,
    scheduler: 'sh',
    flags: ['sh-port', 'sh-fallback'],
    servers: Array.from({ length: servers }, (_, index) => ({ address: `10.0.0.${11 + index}` })),
  })
  return { director, web }
}
