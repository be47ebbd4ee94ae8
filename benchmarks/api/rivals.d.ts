// What the bench calls of packages that bring no types.

declare module 'hashring' {
  export default class HashRing {
    constructor(servers: readonly string[])
    get(key: string): string | undefined
  }
}

declare module 'consistent-hash' {
  export default class ConsistentHash {
    add(server: string): this
    get(key: string): string | undefined
  }
}
