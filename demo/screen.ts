import type { WriteStream } from 'node:tty'

import { clearBelow, clearRight, enterScreen, home, leaveScreen } from './ansi.ts'

/** The terminal's alternate screen, redrawn whole; the terminal is left as it was found. */
export class Screen {
  readonly #terminal: WriteStream
  readonly #leave = (): void => this.close()
  #open = true

  constructor(terminal: WriteStream) {
    this.#terminal = terminal
    // Also when something throws: whatever ends the process, the user gets the terminal back.
    process.once('exit', this.#leave)
    terminal.write(enterScreen)
  }

  /** Rows and columns there are to draw on. */
  get size(): { readonly rows: number; readonly columns: number } {
    return { rows: this.#terminal.rows || 24, columns: this.#terminal.columns || 80 }
  }

  /** Draws lines from the top; what does not fit is cut off. */
  draw(lines: readonly string[]): void {
    if (!this.#open) return
    // One write a frame and no clearing in between: nothing flickers.
    const text = lines
      .slice(0, this.size.rows)
      .map((line) => line + clearRight)
      .join('\r\n')
    this.#terminal.write(home + text + clearBelow)
  }

  /** Goes back to the normal screen. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    process.removeListener('exit', this.#leave)
    this.#terminal.write(leaveScreen)
  }
}
