import { directorAddress, serverAddress } from './addresses.ts'
import { cable } from './namespace.ts'
import { hostInterface, type Lab } from './topology.ts'

/** The director's interface of a network that only it and the servers share. */
export const serverInterface = 'eth1'

/** Servers answer by way of director 1, which forwards packets as any router does. */
export async function returnThroughDirector(lab: Lab): Promise<void> {
  await forwardPackets(lab)
  for (const server of lab.servers) {
    await server.ip(
      `route replace default via ${directorAddress(1, 'ipv4')}`,
      `route replace default via ${directorAddress(1, 'ipv6')}`,
    )
  }
}

/** Puts server 1 on a network of its own behind director 1, which then stands between two networks. */
export async function standBetween(lab: Lab): Promise<void> {
  await forwardPackets(lab)
  const [director, server] = [lab.director(1), lab.server(1)]
  await cable([director, serverInterface], [server, serverInterface])
  await server.ip(
    `link set ${hostInterface} down`,
    `addr flush dev ${hostInterface}`,
    `addr add ${serverAddress(1)}/24 dev ${serverInterface}`,
    `route add default via 10.82.0.254`,
  )
  await director.ip(
    `addr add 10.82.0.254/32 dev ${serverInterface}`,
    `route add ${serverAddress(1)}/32 dev ${serverInterface}`,
  )
}

async function forwardPackets(lab: Lab): Promise<void> {
  await lab.director(1).sysctl({ 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 })
}
