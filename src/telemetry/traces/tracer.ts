import {
  type Context,
  type Span as OtelSpan,
  type Tracer as OtelTracer,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import { ATTR_ERROR_TYPE } from '@opentelemetry/semantic-conventions'
import { isVergeError } from '../../core/errors.ts'
import type { Arrival, Attributes, OpenSpan, RequestSpan, RequestTracer, Span } from '../../core/tracing.ts'
import { parentHeaders, readParent } from './propagation.ts'
import { Recording, withRecording } from './recording.ts'
import type { Sampling } from './sampling.ts'

/** What `AsyncLocalStorage` of Node and of workerd has of which Verge uses it. */
export interface ContextStorage<T> {
  run<R>(value: T, work: () => R): R
  getStore(): T | undefined
}

/** The trace that work belongs to. */
export interface Active {
  readonly context: Context
  /** `tracestate` for those who are asked next. */
  readonly state: string | undefined
  /** Absent where the trace is passed on and nothing is recorded. */
  readonly recording?: Recording
}

export interface TracerOptions {
  readonly tracer: OtelTracer
  readonly storage: ContextStorage<Active>
  readonly sampling: Pick<Sampling, 'records' | 'recordsRefused'>
  /** Milliseconds since 1970; fractions where the clock has them. */
  readonly now: () => number
  /** Spans that one request may have. */
  readonly mostSpans: number
  /** Gets the spans of a request, when it has ended. */
  readonly handOver: (spans: readonly ReadableSpan[], waitUntil: Arrival['waitUntil']) => void
}

/** Spans of what lies beyond this process. */
const OUTSIDE: ReadonlySet<string> = new Set(['kv', 'r2', 'store', 'origin'])

/** Records by OpenTelemetry's SDK. The span that work is in is kept by the runtime, so that nothing has to pass it down. */
export class StorageTracer implements RequestTracer {
  readonly now: () => number
  readonly #options: TracerOptions

  constructor(options: TracerOptions) {
    this.#options = options
    this.now = options.now
  }

  request<T>(arrival: Arrival, work: (span: RequestSpan | undefined) => Promise<T>): Promise<T> {
    const { mostSpans, sampling, storage } = this.#options
    const told = arrival.trusted ? readParent(arrival.parent, arrival.state) : undefined
    const parent = arrival.apart === true ? undefined : told
    if (!(arrival.refused === true ? sampling.recordsRefused() : sampling.records(told))) {
      if (parent === undefined) return work(undefined)
      const context = trace.setSpanContext(ROOT_CONTEXT, parent.context)
      return storage.run({ context, state: parent.state }, () => work(undefined))
    }
    const recording = new Recording(mostSpans, (spans) => this.#options.handOver(spans, arrival.waitUntil))
    const root = withRecording(
      parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent.context),
      recording,
    )
    const span = this.#begin(root, arrival.name, arrival.attributes, SpanKind.SERVER, arrival.at, linksOf(arrival))
    const active: Active = { context: trace.setSpan(root, span), state: parent?.state, recording }
    return storage.run(active, () => this.#whole(span, active, recording, work))
  }

  span<T>(name: string, attributes: Attributes, work: (span: Span | undefined) => Promise<T>): Promise<T> {
    const { storage } = this.#options
    const active = storage.getStore()
    if (active?.recording?.begin() !== true) return work(undefined)
    const span = this.#begin(active.context, name, attributes, OUTSIDE.has(name) ? SpanKind.CLIENT : SpanKind.INTERNAL)
    const inner = { ...active, context: trace.setSpan(active.context, span) }
    return storage.run(inner, () => this.#ended(span, work(this.#handle(span, inner))))
  }

  open(name: string, attributes: Attributes): OpenSpan | undefined {
    const { storage } = this.#options
    const active = storage.getStore()
    if (active?.recording?.begin() !== true) return undefined
    const span = this.#begin(active.context, name, attributes, SpanKind.INTERNAL)
    const context = trace.setSpan(active.context, span)
    const within: Active = { context, state: active.state }
    return {
      ...this.#handle(span, { ...active, context }),
      event: (event) => void span.addEvent(event, hrTime(this.now())),
      step: (work) => storage.run(within, work),
      end: (error) => {
        if (!span.isRecording()) return
        if (error !== undefined) fail(span, error)
        span.end(hrTime(this.now()))
      },
    }
  }

  headers(): Readonly<Record<string, string>> {
    const active = this.#options.storage.getStore()
    return active === undefined ? {} : parentHeaders(active.context, active.state)
  }

  /** The first span, until its work is over or until it is let go. */
  async #whole<T>(
    span: OtelSpan,
    active: Active,
    recording: Recording,
    work: (span: RequestSpan) => Promise<T>,
  ): Promise<T> {
    let kept = false
    const end = (): void => {
      if (!span.isRecording()) return
      if (recording.refused > 0) span.setAttribute('verge.trace.spans_left_out', recording.refused)
      span.end(hrTime(this.now()))
      recording.close()
    }
    try {
      return await work({
        ...this.#handle(span, active),
        id: parentHeaders(active.context, undefined).traceparent ?? '',
        traceId: span.spanContext().traceId,
        rename: (name) => void span.updateName(name),
        failed(code, broken) {
          span.setAttribute(ATTR_ERROR_TYPE, code)
          if (broken) span.setStatus({ code: SpanStatusCode.ERROR })
        },
        keep() {
          kept = true
          return end
        },
      })
    } catch (error) {
      fail(span, error)
      kept = false
      throw error
    } finally {
      if (!kept) end()
    }
  }

  async #ended<T>(span: OtelSpan, work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      fail(span, error)
      throw error
    } finally {
      span.end(hrTime(this.now()))
    }
  }

  #handle(span: OtelSpan, active: Active): Span {
    return {
      set: (attributes) => void span.setAttributes(defined(attributes)),
      part: (name, attributes, from, to) => {
        if (active.recording?.begin() !== true) return
        this.#begin(active.context, name, attributes, SpanKind.INTERNAL, from).end(hrTime(Math.max(from, to)))
      },
    }
  }

  #begin(
    context: Context,
    name: string,
    attributes: Attributes,
    kind: SpanKind,
    at = this.now(),
    links: ReturnType<typeof linksOf> = [],
  ): OtelSpan {
    const options = { kind, attributes: defined(attributes), startTime: hrTime(at), links }
    return this.#options.tracer.startSpan(name, options, context)
  }
}

/** The trace of a caller who is not trusted: named, and not continued. One trace of a stranger's could be of millions of requests. */
function linksOf({ apart, parent, state, trusted }: Arrival) {
  const linked = trusted && apart !== true ? undefined : readParent(parent, state)
  return linked === undefined ? [] : [{ context: linked.context }]
}

/** By its code: messages may hold what the caller wrote. */
function fail(span: OtelSpan, error: unknown): void {
  span.setAttribute(ATTR_ERROR_TYPE, isVergeError(error) ? error.code : 'internal')
  span.setStatus({ code: SpanStatusCode.ERROR })
}

function defined(attributes: Attributes): Record<string, string | number | boolean> {
  const found: Record<string, string | number | boolean> = {}
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) found[name] = value
  return found
}

/** Seconds and nanoseconds, which the SDK takes as they are: of a number it would ask clocks of its own what it means. */
function hrTime(ms: number): [number, number] {
  const micros = Math.round(ms * 1000)
  return [Math.floor(micros / 1e6), (micros % 1e6) * 1000]
}
