declare const content: unique symbol

/** JSON text of a `T`: how values cross to and from the addon. */
export type JsonText<T> = string & { readonly [content]: T }

/** Text of a value. */
export function textOf<T>(value: T): JsonText<T> {
  return JSON.stringify(value) as JsonText<T>
}

/** The value of a text. */
export function valueOf<T>(text: JsonText<T>): T {
  return JSON.parse(text) as T
}
