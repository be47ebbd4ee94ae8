import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { ExecutionContext } from 'ava'

import { ControlClient, type ServiceOptions } from '../../lib/index.ts'
import type { LabProcess } from '../lab/lab-process.ts'
import type { Namespace } from '../lab/namespace.ts'
import { hostInterface } from '../lab/topology.ts'

const command = fileURLToPath(new URL('../../bin/l4-director.js', import.meta.url))

/** A daemon's host, its configuration file and its control socket. */
export class DaemonHost {
  readonly #namespace: Namespace
  readonly config: string
  readonly control: string

  private constructor(namespace: Namespace, folder: string) {
    this.#namespace = namespace
    this.config = join(folder, 'director.json')
    this.control = join(folder, 'control.sock')
  }

  /** A host in this namespace, whose files are gone after the test. */
  static open(t: ExecutionContext, namespace: Namespace): DaemonHost {
    const folder = mkdtempSync(join(tmpdir(), 'l4-daemon-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    return new DaemonHost(namespace, folder)
  }

  /** A file beside the configuration. */
  beside(name: string): string {
    return join(dirname(this.config), name)
  }

  /** Writes the configuration file. */
  write(services: readonly ServiceOptions[], more: object = {}): void {
    const file = { interfaces: [hostInterface], control: this.control, connections: 4096, services, ...more }
    writeFileSync(this.config, JSON.stringify(file, null, 2))
  }

  /** Starts a daemon. */
  run(name: string, environment?: NodeJS.ProcessEnv): LabProcess {
    return this.#run(name, ['--config', this.config], environment)
  }

  /** Starts a daemon with saved rules alone; resolves when it forwards. */
  async startedWithRules(rules: string, environment?: NodeJS.ProcessEnv): Promise<LabProcess> {
    const options = ['--rules', rules, '--interface', hostInterface, '--control', this.control]
    const daemon = this.#run('daemon', options, environment)
    await daemon.message('started')
    return daemon
  }

  /** Starts a daemon whose log is read until it has started; its end is told as `ended`. */
  runUnread(): LabProcess {
    const script = `exec 4>&1
      { "$@" 4>&-; printf '{"event":"ended","status":%d}\\n' $? >&4; } | sed -u '/"started"/q' >&4`
    const daemon = [process.execPath, command, 'run', '--config', this.config]
    return this.#namespace.start('daemon', ['sh', '-c', script, 'sh', ...daemon])
  }

  #run(name: string, options: readonly string[], environment?: NodeJS.ProcessEnv): LabProcess {
    return this.#namespace.start(name, [process.execPath, command, 'run', ...options], environment)
  }

  /** Starts a daemon; resolves when it forwards. */
  async started(environment?: NodeJS.ProcessEnv): Promise<LabProcess> {
    const daemon = this.run('daemon', environment)
    await daemon.message('started')
    return daemon
  }

  /** The filters that keep the host from the services' packets. */
  filters(): Promise<string> {
    return this.#namespace.run('tc', 'filter', 'show', 'dev', hostInterface, 'ingress')
  }

  /** A client of the control socket. */
  client(): Promise<ControlClient> {
    return ControlClient.connect({ path: this.control })
  }
}
