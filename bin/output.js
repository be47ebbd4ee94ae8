// What becomes of output that cannot be written.

/**
 * A reader that went away changes nothing: the command does what it has to, and its status says what
 * came of it. Anything else, such as a full disk, is told, and the status is 1 if it would be 0.
 */
export function watchOutput() {
  let failed = false
  process.stdout.on('error', ({ code, message }) => {
    if (code === 'EPIPE' || failed) return
    failed = true
    process.stderr.write(`the output could not be written: ${message}\n`)
  })
  // There is nobody left to tell.
  process.stderr.on('error', () => {})
  process.on('exit', () => {
    if (failed) process.exitCode ||= 1
  })
}
