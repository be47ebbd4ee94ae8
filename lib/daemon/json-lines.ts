import { at } from '../options/problems.js'

/** Where the parts of a JSON text stand. */
export interface JsonLines {
  /** Line, from 1, of a field, written `services[0].port`; of what it is part of when it is absent. */
  readonly lineOf: (field: string) => number
  /** Fields that occur twice in one object. JSON leaves open which of them counts. */
  readonly twice: readonly string[]
}

interface Frame {
  readonly path: string
  readonly isArray: boolean
  place: string
  index: number
  isKey: boolean
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g

/** Finds the lines of a text that `JSON.parse` accepts. */
export function jsonLines(text: string): JsonLines {
  const offsets = new Map<string, number>()
  const twice: string[] = []
  const frames: Frame[] = []
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    const frame = frames.at(-1)
    if (token === ':') continue
    if (token === '}' || token === ']') frames.pop()
    else if (token === ',') next(frame)
    else if (frame?.isKey) {
      frame.place = at(frame.path, JSON.parse(token))
      if (offsets.has(frame.place)) twice.push(frame.place)
      offsets.set(frame.place, index)
      frame.isKey = false
    } else {
      const path = frame === undefined ? '' : frame.place
      if (frame?.isArray !== false) offsets.set(path, index)
      if (token === '{' || token === '[') frames.push(begun(path, token === '['))
    }
  }
  return { twice, lineOf: (field) => lineAt(text, offsetOf(offsets, field)) }
}

function begun(path: string, isArray: boolean): Frame {
  return { path, isArray, index: 0, place: isArray ? at(path, 0) : path, isKey: !isArray }
}

function next(frame: Frame | undefined): void {
  if (frame === undefined) return
  frame.index += 1
  if (frame.isArray) frame.place = at(frame.path, frame.index)
  else frame.isKey = true
}

function offsetOf(offsets: ReadonlyMap<string, number>, field: string): number {
  for (let path = field; path !== ''; path = path.replace(/(?:^|\.)[^.[]*$|\[\d+\]$/, '')) {
    const found = offsets.get(path)
    if (found !== undefined) return found
  }
  return offsets.get('') ?? 0
}

/** Line, from 1, of an offset. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}
