import type { SettingsPatch } from '../settings.js'
import { flag, integer, object } from './check.js'
import type { Check } from './check.js'

const seconds = integer(1, 2_678_400)

/** Changes of the global settings. */
export const settings: Check<SettingsPatch> = object<SettingsPatch>(
  {
    sloppyTcp: flag,
    sloppySctp: flag,
    scheduleIcmp: flag,
    expireNodestConn: flag,
    expireQuiescentTemplate: flag,
    connReuseMode: integer(0, 3),
    pmtuDisc: flag,
    natIcmpSend: flag,
    routeServers: flag,
    resetMidstream: flag,
    strictAddresses: flag,
    tcpTimeoutSeconds: seconds,
    tcpFinTimeoutSeconds: seconds,
    udpTimeoutSeconds: seconds,
    dropEntry: integer(0, 3),
    dropPacket: integer(0, 3),
    secureTcp: integer(0, 3),
    amDroprate: integer(1, 4_294_967_295),
    amemthresh: integer(0, 4_294_967_295),
    runEstimation: flag,
    icmpErrorsPerSecond: integer(0, 4_294_967_295),
  },
  [],
)
