/** A read of KV or R2: the places of its two ends among the ends of all reads. */
export interface Read {
  readonly store: 'kv' | 'r2'
  /** One, or those of a bulk read. */
  readonly keys: readonly string[]
  readonly begun: number
  /** The answer is there; its body may still be on its way. Absent until then. */
  readonly ended?: number
}

/** A read that may be under way still. */
type Noted = { -readonly [K in keyof Read]: Read[K] }

/** How long a read waits before its store is asked. */
export type Delay = () => Promise<void>

/**
 * Puts a delay on every read of a KV namespace and of an R2 bucket, as the way to a distant store does, and notes which
 * reads began only after others had ended. What goes on beside that is left as it is: the bindings may be real ones.
 */
export class SlowReads {
  readonly #delay: Delay
  #ends = 0
  readonly #reads: Noted[] = []

  constructor(delay: Delay) {
    this.#delay = delay
  }

  /** In the order in which they began. */
  get reads(): readonly Read[] {
    return this.#reads
  }

  /** @param missing the namespace has nothing: all is in R2 alone */
  kv<T extends object>(namespace: T, { missing = false }: { readonly missing?: boolean } = {}): T {
    const nothing = (method: string, key: unknown): unknown => {
      if (Array.isArray(key)) return new Map(key.map((each) => [each, null]))
      return method === 'getWithMetadata' ? { value: null, metadata: null } : null
    }
    return this.#around(namespace, 'kv', ['get', 'getWithMetadata'], missing ? nothing : undefined)
  }

  r2<T extends object>(bucket: T): T {
    return this.#around(bucket, 'r2', ['get', 'head', 'list'], undefined)
  }

  #around<T extends object>(
    store: T,
    name: Read['store'],
    methods: readonly string[],
    instead: ((method: string, key: unknown) => unknown) | undefined,
  ): T {
    return new Proxy(store, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property)
        if (typeof value !== 'function') return value
        if (!methods.includes(String(property))) return value.bind(target)
        return async (...given: readonly unknown[]) => {
          const [key] = given
          const read = this.#begin(name, Array.isArray(key) ? key.map(String) : [String(key)])
          try {
            await this.#delay()
            return instead === undefined ? await value.apply(target, given) : instead(String(property), key)
          } finally {
            read.ended = ++this.#ends
          }
        }
      },
    })
  }

  #begin(store: Read['store'], keys: readonly string[]): Noted {
    const read: Noted = { store, keys, begun: ++this.#ends }
    this.#reads.push(read)
    return read
  }
}

/** The most reads of which each began only after the one before had ended: times the way to a store, what they cost. */
export function roundsOf(reads: readonly Read[]): number {
  const rounds: { readonly ended: number; readonly round: number }[] = []
  for (const { begun, ended = Number.POSITIVE_INFINITY } of reads.toSorted((a, b) => a.begun - b.begun)) {
    const before = rounds.reduce((most, each) => (each.ended < begun ? Math.max(most, each.round) : most), 0)
    rounds.push({ ended, round: before + 1 })
  }
  return rounds.reduce((most, { round }) => Math.max(most, round), 0)
}

/** Turns of the event loop without a new read after which no more are expected before an answer. */
const QUIET_TURNS = 20

/**
 * A delay by no clock: the reads that wait are let go together, when the event loop has turned often without another one.
 * So reads that could begin together never count as one after the other, however busy the machine is. For the reads of one
 * request at a time.
 * @param turn lets the event loop turn
 */
export function untilQuiet(turn: () => Promise<void>): Delay {
  let waiting: (() => void)[] = []
  let turns = 0
  const letGo = async (): Promise<void> => {
    for (; turns < QUIET_TURNS; turns++) await turn()
    const all = waiting
    waiting = []
    for (const go of all) go()
  }
  return () =>
    new Promise((go) => {
      turns = 0
      waiting.push(go)
      if (waiting.length === 1) void letGo()
    })
}
