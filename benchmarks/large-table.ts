// Ten thousand services with ten servers each, as lines of `ipvsadm -R`.

const addresses = 100
const portsOfAddress = 100
const serversOfService = 10
const serverAddresses = 1000

/** A virtual service of the table and its servers. */
export interface LargeService {
  readonly address: string
  readonly port: number
  readonly servers: readonly string[]
}

/** The services of the table. Its servers are behind tunnels, so that any route will do. */
export function largeServices(): LargeService[] {
  return Array.from({ length: addresses * portsOfAddress }, (_, index) => ({
    address: `198.18.0.${1 + Math.floor(index / portsOfAddress)}`,
    port: 1000 + (index % portsOfAddress),
    servers: Array.from({ length: serversOfService }, (__, server) => {
      const number = (index * serversOfService + server) % serverAddresses
      return `10.83.${Math.floor(number / 250)}.${1 + (number % 250)}`
    }),
  }))
}

/** The commands that make these services. */
export function restoreLines(services: readonly LargeService[]): string {
  const lines = services.flatMap(({ address, port, servers }) => [
    `-A -t ${address}:${port} -s wrr`,
    ...servers.map((server) => `-a -t ${address}:${port} -r ${server}:${port} -i -w 1`),
  ])
  return `${lines.join('\n')}\n`
}
