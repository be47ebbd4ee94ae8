import type { Holder } from './holder.ts'
import { LabProcess } from './lab-process.ts'
import { run } from './run.ts'

/** One network namespace of the lab: a host with interfaces, addresses and processes. */
export class Namespace {
  /** Its name among the lab's namespaces, unique to this run. */
  readonly name: string
  readonly #holder: Holder

  private constructor(holder: Holder, name: string) {
    this.#holder = holder
    this.name = name
  }

  /** Makes the namespace, with its loopback up. */
  static async create(holder: Holder, name: string): Promise<Namespace> {
    await run([...holder.enter, 'ip', 'netns', 'add', name])
    const namespace = new Namespace(holder, name)
    await namespace.sysctl({
      // Addresses are usable at once, and nobody configures an address but the lab.
      'net.ipv6.conf.all.accept_dad': 0,
      'net.ipv6.conf.default.accept_dad': 0,
      'net.ipv6.conf.default.dad_transmits': 0,
      'net.ipv6.conf.default.accept_ra': 0,
      'net.ipv4.conf.all.rp_filter': 0,
      'net.ipv4.conf.default.rp_filter': 0,
    })
    await namespace.ip('link set lo up')
    return namespace
  }

  /** Runs `ip` commands, one a line, without the leading `ip`. */
  async ip(...lines: string[]): Promise<void> {
    const command = [...this.#holder.enter, 'ip', '-n', this.name, '-batch', '-']
    await run(command, `${lines.join('\n')}\n`)
  }

  /** Runs one `ip` query with JSON output. */
  async query(...words: string[]): Promise<unknown[]> {
    const text = await run([...this.#holder.enter, 'ip', '-n', this.name, '-json', ...words])
    return text.trim() === '' ? [] : (JSON.parse(text) as unknown[])
  }

  /** What this host believes to be the path MTU between two addresses; `undefined` when nothing told it. */
  async pathMtu(to: string, from: string): Promise<number | undefined> {
    const [route] = await this.query('route', 'get', to, 'from', from)
    const { metrics = [] } = route as { metrics?: readonly { readonly mtu?: number }[] }
    return metrics.find(({ mtu }) => mtu !== undefined)?.mtu
  }

  /** Writes kernel settings. */
  async sysctl(settings: Readonly<Record<string, number | string>>): Promise<void> {
    const words = Object.entries(settings).map(([key, value]) => `${key}=${value}`)
    await this.run('sysctl', '-q', '-w', ...words)
  }

  /** Runs a command to its end and resolves with what it printed. */
  run(...command: string[]): Promise<string> {
    return run([...this.#enter(), ...command])
  }

  /** Starts a program that speaks JSON lines; it dies with this process, however this one ends. */
  start(name: string, command: readonly string[], environment?: NodeJS.ProcessEnv): LabProcess {
    // The signal on the parent's death is asked for after the user namespace was entered, because
    // a change of credentials clears it.
    return new LabProcess(name, this.#enter(['setpriv', '--pdeathsig', 'KILL']).concat(command), environment)
  }

  #enter(before: readonly string[] = []): string[] {
    return [...this.#holder.enter, ...before, 'ip', 'netns', 'exec', this.name]
  }
}

/** Joins two namespaces by a virtual Ethernet cable; offloads stay as the kernel sets them. */
export async function cable(
  [left, leftName]: readonly [Namespace, string],
  [right, rightName]: readonly [Namespace, string],
): Promise<void> {
  await left.ip(
    `link add ${leftName} type veth peer name ${rightName} netns ${right.name}`,
    `link set ${leftName} up`,
  )
  await right.ip(`link set ${rightName} up`)
}
