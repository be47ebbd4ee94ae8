// The few terminal control sequences the demo needs (ECMA-48, and the xterm private modes).

const escape = '\u001B['

const paint =
  (code: number) =>
  (text: string): string =>
    `${escape}${code}m${text}${escape}0m`

export const bold = paint(1)
export const dim = paint(2)
export const inverse = paint(7)
export const red = paint(31)
export const green = paint(32)
export const yellow = paint(33)
export const blue = paint(34)
export const magenta = paint(35)
export const cyan = paint(36)

export const enterScreen = `${escape}?1049h${escape}?25l${escape}?7l`
export const leaveScreen = `${escape}?7h${escape}?25h${escape}?1049l`
export const home = `${escape}H`
export const clearRight = `${escape}K`
export const clearBelow = `${escape}J`

const sequence = /\u001B\[[0-9;?]*[A-Za-z]/gu // oxlint-disable-line no-control-regex -- it is what is looked for

/** The text without its colours. */
export function uncoloured(text: string): string {
  return text.replace(sequence, '')
}

/** Columns a text takes; every character of the demo takes one. */
export function width(text: string): number {
  return uncoloured(text).length
}

/** Pads or leaves `text` so that it takes at least `columns`. */
export function padEnd(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - width(text)))
}

/** The same, with the text at the right. */
export function padStart(text: string, columns: number): string {
  return ' '.repeat(Math.max(0, columns - width(text))) + text
}
