import { type Context, ROOT_CONTEXT, type SpanContext, TraceFlags, trace } from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'

/** A trace that a request belongs to, as its caller says. */
export interface Parent {
  readonly context: SpanContext
  /** `tracestate` for those who are asked next. It is the caller's text, so that no span has it. */
  readonly state: string | undefined
}

/** `traceparent` has 55 characters; later versions may have more behind them (W3C Trace Context, 3.2.1). */
const MOST_PARENT = 256
/** Senders have to pass on 512 characters at least, and the library cuts what is longer (3.3.1.5). */
const MOST_STATE = 2_048

const propagator = new W3CTraceContextPropagator()

/** What the headers of a request say; undefined where they are absent, invalid or too long. */
export function readParent(parent: string | undefined, state: string | undefined): Parent | undefined {
  if (parent === undefined || parent.length > MOST_PARENT) return undefined
  const carrier = {
    traceparent: parent,
    ...(state !== undefined && state.length <= MOST_STATE && { tracestate: state }),
  }
  const context = trace.getSpanContext(propagator.extract(ROOT_CONTEXT, carrier, GETTER))
  if (context === undefined) return undefined
  const { traceState, ...rest } = context
  return { context: rest, state: traceState?.serialize() || undefined }
}

export function isSampled({ traceFlags }: SpanContext): boolean {
  return (traceFlags & TraceFlags.SAMPLED) !== 0
}

/** The headers that continue a trace. */
export function parentHeaders(context: Context, state: string | undefined): Record<string, string> {
  const carrier: Record<string, string> = {}
  propagator.inject(context, carrier, SETTER)
  if (state !== undefined && carrier.traceparent !== undefined) carrier.tracestate = state
  return carrier
}

const GETTER = {
  get: (carrier: Readonly<Record<string, string>>, name: string) => carrier[name],
  keys: (carrier: Readonly<Record<string, string>>) => Object.keys(carrier),
}
const SETTER = {
  set: (carrier: Record<string, string>, name: string, value: string) => {
    carrier[name] = value
  },
}
