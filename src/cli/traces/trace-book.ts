import type { ReceivedSpan } from './otlp.ts'

/** A trace as far as it has come. */
export interface CollectedTrace {
  readonly traceId: string
  readonly spans: readonly ReceivedSpan[]
  /** It was shown before, with fewer spans. */
  readonly again: boolean
}

interface Entry {
  readonly spans: Map<string, ReceivedSpan>
  changedAt: number
  shown: boolean
  waiting: boolean
}

/** Of each trace: a text of a thousand tokens has as many at most, over several machines. */
const MOST_SPANS = 2_000
/** Kept, the oldest are forgotten: spans that come later belong to a new entry. */
const MOST_TRACES = 200

/** Gathers spans by trace, until none has come for a while: those of the edge and of origins come by themselves. */
export class TraceBook {
  readonly #traces = new Map<string, Entry>()
  readonly #quietMs: number

  constructor(quietMs: number) {
    this.#quietMs = quietMs
  }

  /** A span that comes twice counts once. */
  add(spans: readonly ReceivedSpan[], now: number): void {
    for (const span of spans) {
      const entry = this.#entryOf(span.traceId)
      if (entry.spans.has(span.spanId) || entry.spans.size >= MOST_SPANS) continue
      entry.spans.set(span.spanId, span)
      entry.changedAt = now
      entry.waiting = true
    }
  }

  /** Traces that have been quiet for long enough, each once until more of it comes. */
  settled(now: number): CollectedTrace[] {
    const found: CollectedTrace[] = []
    for (const [traceId, entry] of this.#traces) {
      if (!entry.waiting || now - entry.changedAt < this.#quietMs) continue
      found.push({ traceId, spans: [...entry.spans.values()], again: entry.shown })
      entry.shown = true
      entry.waiting = false
    }
    return found
  }

  #entryOf(traceId: string): Entry {
    const known = this.#traces.get(traceId)
    if (known !== undefined) return known
    const [oldest] = this.#traces.keys()
    if (this.#traces.size >= MOST_TRACES && oldest !== undefined) this.#traces.delete(oldest)
    const entry: Entry = { spans: new Map(), changedAt: 0, shown: false, waiting: false }
    this.#traces.set(traceId, entry)
    return entry
  }
}
