import { JsonTraceSerializer } from '@opentelemetry/otlp-transformer'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import { concatBytes } from '../../core/bytes.ts'
import type { Limits } from '../../core/limits.ts'
import { type Clock, type Logger, untilLate } from '../../core/runtime.ts'
import { isWithin, type Span as Period } from '../../core/span.ts'
import type { TraceSettings } from './settings.ts'

export interface ExporterOptions {
  readonly to: Pick<TraceSettings, 'url' | 'headers'>
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: Pick<
    Limits,
    'traceAnswerBytes' | 'traceBatchSpans' | 'traceExportMs' | 'traceFlushMs' | 'traceQueueSpans' | 'traceRestMs'
  >
}

/** Why spans were dropped: a few words, for counters. `full`: more came than exports took. */
export type SpanLoss = 'full' | 'hangs' | 'unreachable' | 'busy' | 'refused' | 'left_out' | 'unwritable'

/** Is told what becomes of spans. A call never throws. */
export interface SpanObserver {
  /** They were recorded, or the collector took them. */
  counted(outcome: 'recorded' | 'exported', spans: number): void
  dropped(reason: SpanLoss, spans: number): void
}

/** What came of an export: `again` with how long to wait, in milliseconds, where the collector says. */
type Outcome =
  | { readonly kind: 'taken'; readonly refused: number }
  | { readonly kind: 'again'; readonly loss: SpanLoss; readonly why: string; readonly afterMs?: number }
  | { readonly kind: 'refused'; readonly loss: SpanLoss; readonly why: string }

/** Exports behind one answer, of a full batch each: more would outlast what a platform lets run there. */
const MOST_IN_A_ROW = 2
/** Of a collector that asks for longer waits. */
const LONGEST_REST_MS = 600_000
/** OTLP specification, "Retryable Response Codes". */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504])

/**
 * Sends spans to a collector by OTLP/HTTP in JSON, several requests' together and behind answers: no request waits for it,
 * whatever the collector does. What finds no room is dropped and counted.
 */
export class OtlpExporter {
  readonly #options: ExporterOptions
  #queue: ReadableSpan[] = []
  /** Somebody waits to send. */
  #appointment: Period | undefined
  /** A batch is under way. */
  #sending: Period | undefined
  /** The collector wants to be left alone. */
  #resting: Period | undefined
  /** Why the queue is not emptied, if it is not. */
  #trouble: SpanLoss = 'full'
  #observer: SpanObserver | undefined
  #dropped = 0
  #reported = 0

  constructor(options: ExporterOptions) {
    this.#options = options
  }

  /** Spans that were lost since this process began. */
  get dropped(): number {
    return this.#dropped
  }

  /** Who counts is made after what is counted. */
  watch(observer: SpanObserver): void {
    this.#observer = observer
  }

  /** @param waitUntil keeps work alive behind the answer */
  add(spans: readonly ReadableSpan[], waitUntil: (work: Promise<unknown>) => void): void {
    const { clock, limits } = this.#options
    this.#observer?.counted('recorded', spans.length)
    this.#keep(spans)
    const now = clock.now()
    if (isWithin(this.#resting, now)) return
    const full = this.#queue.length >= limits.traceBatchSpans
    if (full && !isWithin(this.#sending, now)) waitUntil(this.#sendAll())
    else if (!isWithin(this.#appointment, now)) {
      this.#appointment = { at: now, ms: limits.traceFlushMs }
      waitUntil(this.#later())
    }
  }

  /** Sends what there is, however long the collector wants to be left alone. Never rejects. @returns whether nothing is left */
  async flush(): Promise<boolean> {
    const { clock, limits } = this.#options
    const batch = this.#queue.splice(0, limits.traceBatchSpans)
    if (batch.length === 0) return true
    this.#sending = { at: clock.now(), ms: 2 * limits.traceExportMs }
    const outcome = await this.#send(batch)
    this.#sending = undefined
    switch (outcome.kind) {
      case 'taken':
        this.#resting = undefined
        this.#trouble = 'full'
        this.#observer?.counted('exported', batch.length - outcome.refused)
        this.#drop(outcome.refused, 'left_out', 'the collector left them out')
        return this.#queue.length === 0
      case 'again':
        this.#resting = { at: clock.now(), ms: Math.min(LONGEST_REST_MS, outcome.afterMs ?? limits.traceRestMs) }
        this.#trouble = outcome.loss
        this.#putBack(batch, outcome.why)
        return false
      case 'refused':
        this.#drop(batch.length, outcome.loss, outcome.why)
        return this.#queue.length === 0
    }
  }

  async #later(): Promise<void> {
    const { clock, limits } = this.#options
    await clock.sleep(limits.traceFlushMs)
    this.#appointment = undefined
    await this.#sendAll()
  }

  async #sendAll(): Promise<void> {
    for (let sent = 0; sent < MOST_IN_A_ROW; sent++) {
      if (isWithin(this.#resting, this.#options.clock.now()) || (await this.flush())) return
    }
  }

  #keep(spans: readonly ReadableSpan[]): void {
    const room = Math.max(0, this.#options.limits.traceQueueSpans - this.#queue.length)
    this.#queue.push(...spans.slice(0, room))
    this.#drop(Math.max(0, spans.length - room), this.#trouble, 'the queue is full')
  }

  /** The oldest of them first, where others came meanwhile. */
  #putBack(batch: readonly ReadableSpan[], why: string): void {
    const room = Math.max(0, this.#options.limits.traceQueueSpans - this.#queue.length)
    const dropped = Math.max(0, batch.length - room)
    this.#queue = [...batch.slice(dropped), ...this.#queue]
    this.#drop(dropped, this.#trouble, why)
  }

  #drop(spans: number, loss: SpanLoss, why: string): void {
    if (spans === 0) return
    this.#observer?.dropped(loss, spans)
    this.#dropped += spans
    // In powers of two, so that a collector that is away for long is a few lines.
    if (this.#dropped < this.#reported * 2) return
    this.#reported = this.#dropped
    this.#options.logger.warn('trace_spans_dropped', { spans: this.#dropped, reason: why })
  }

  async #send(batch: ReadableSpan[]): Promise<Outcome> {
    const { clock, limits, to } = this.#options
    const gaveUp = new AbortController()
    const late = (): Outcome => {
      gaveUp.abort()
      return { kind: 'again', loss: 'hangs', why: `the collector did not answer within ${limits.traceExportMs} ms` }
    }
    try {
      const body = JsonTraceSerializer.serializeRequest(batch)
      if (body === undefined) return { kind: 'refused', loss: 'unwritable', why: 'they could not be written' }
      return await untilLate(
        this.#exchange(to, body.slice(), batch.length, gaveUp.signal),
        limits.traceExportMs,
        clock,
        late,
      )
    } catch {
      // What it says may hold the address and its credentials.
      return { kind: 'again', loss: 'unreachable', why: 'the collector could not be reached' }
    }
  }

  async #exchange(
    { headers, url }: ExporterOptions['to'],
    body: Uint8Array<ArrayBuffer>,
    spans: number,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const response = await this.#options.fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body,
      // Credentials are never sent on to where a redirection leads.
      redirect: 'manual',
      signal,
    })
    const { status } = response
    if (status < 200 || status >= 300) {
      await response.body?.cancel()
      const why = `the collector answered ${status}`
      if (!RETRYABLE.has(status)) return { kind: 'refused', loss: 'refused', why }
      const afterMs = retryAfterMs(response.headers.get('retry-after'), this.#options.clock.now())
      return { kind: 'again', loss: 'busy', why, ...(afterMs !== undefined && { afterMs }) }
    }
    const answer = await firstBytes(response, this.#options.limits.traceAnswerBytes)
    return { kind: 'taken', refused: answer === undefined ? 0 : refusedIn(answer, spans) }
  }
}

/** RFC 9110, 10.2.3: seconds, or a date. */
function retryAfterMs(header: string | null, now: number): number | undefined {
  if (header === null || header === '') return undefined
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}

/** The whole of a short answer; undefined of a longer one, which is left. */
async function firstBytes(response: Response, most: number): Promise<Uint8Array | undefined> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  const reader = response.body?.getReader()
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true as const, value: undefined }
    if (done) return concatBytes(pieces)
    bytes += value.length
    if (bytes > most) {
      await reader?.cancel()
      return undefined
    }
    pieces.push(value)
  }
}

/** Spans that the collector says it left out ("Partial Success"). */
function refusedIn(answer: Uint8Array, most: number): number {
  const { partialSuccess } = JsonTraceSerializer.deserializeResponse(answer) ?? {}
  const refused = Number(partialSuccess?.rejectedSpans ?? 0)
  return Number.isSafeInteger(refused) && refused > 0 ? Math.min(refused, most) : 0
}
