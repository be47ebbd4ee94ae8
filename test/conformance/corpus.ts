/**
 * Writes the frames of the recordings, a part of the many alike, as one file for the engine's test of
 * mutated frames: for each the side it comes from (0 client, 1 server), its length in two octets, its
 * octets.
 *
 * node --import tsx test/conformance/corpus.ts
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { listRecordings, readRecording } from './recording.ts'

const folder = fileURLToPath(new URL('./recordings', import.meta.url))
const target = fileURLToPath(new URL('../../native/engine/tests/mutated/frames.bin', import.meta.url))

/** Frames up to this length are small: one of three is taken, of the others one of twelve. */
const small = 200

function taken(frame: Buffer, number: number, file: string): boolean {
  return file.startsWith('state_fragments') || number % (frame.length <= small ? 3 : 12) === 0
}

function frames(file: string): Buffer[] {
  const steps = (readRecording(folder, file).scenarios ?? []).flatMap((scenario) =>
    'steps' in scenario ? scenario.steps : [],
  )
  const sent = steps.flatMap(({ from, in: hex }) => (hex === undefined ? [] : [{ from, hex }]))
  const distinct = new Map(sent.map((one) => [`${one.from} ${one.hex}`, one]))
  return [...distinct.values()]
    .map(({ from, hex }) => ({ from, octets: Buffer.from(hex, 'hex') }))
    .filter(({ octets }, number) => taken(octets, number, file))
    .map(({ from, octets }) => {
      const head = Buffer.alloc(3)
      head.writeUInt8(from === 'rs' ? 1 : 0, 0)
      head.writeUInt16BE(octets.length, 1)
      return Buffer.concat([head, octets])
    })
}

const corpus = listRecordings(folder).flatMap(frames)
writeFileSync(target, Buffer.concat(corpus))
console.log(`${corpus.length} frames`)
