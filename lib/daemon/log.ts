import type { DirectorError } from '../errors.js'
import type { Logger } from '../options/start.js'
import { ConfigurationFileError } from './configuration-file.js'
import { LOG_LEVELS } from './daemon-options.js'
import type { LogLevel } from './daemon-options.js'

/** A log of lines, each a JSON object: `time`, `level`, `event`, `message`, and what belongs to it. */
export class Log implements Logger {
  /** Least important level that is written. */
  level: LogLevel = 'info'
  readonly #write: (line: string) => void

  /** `write` takes whole lines. */
  constructor(write: (line: string) => void) {
    this.#write = write
  }

  /** Writes a line; `event` is the stable name of what happened. */
  tell(level: LogLevel, event: string, message: string, fields: object = {}): void {
    if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(this.level)) return
    const time = new Date().toISOString()
    this.#write(`${JSON.stringify({ time, level, event, message, ...fields })}\n`)
  }

  /** Writes an error: one line for each problem of a file, else one. */
  failure(event: string, error: DirectorError): void {
    if (!(error instanceof ConfigurationFileError))
      return this.tell('error', event, error.message, { code: error.code })
    for (const { code, field, line, message } of error.issues)
      this.tell('error', event, message, { code, file: error.file, line, field })
  }

  /** Details of the director. */
  debug(message: string): void {
    this.tell('debug', 'director', message)
  }

  /** What the director does. */
  info(message: string): void {
    this.tell('info', 'director', message)
  }

  /** What the director warns of. */
  warn(message: string): void {
    this.tell('warn', 'director', message)
  }

  /** What the director could not do. */
  error(message: string): void {
    this.tell('error', 'director', message)
  }
}
