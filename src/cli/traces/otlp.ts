import * as z from 'zod'

/** A span as a collector gets it. */
export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string | undefined
  readonly name: string
  /** `service.name` of the process that made it. */
  readonly service: string
  /** Nanoseconds since 1970. */
  readonly from: bigint
  readonly to: bigint
  /** Whether it failed. */
  readonly failed: boolean
  readonly attributes: Readonly<Record<string, string | number | boolean>>
  /** Moments within it. */
  readonly events: readonly SpanEvent[]
}

export interface SpanEvent {
  readonly name: string
  /** Nanoseconds since 1970. */
  readonly at: bigint
}

/** Numbers of 64 bits are text in JSON, and some senders write small ones as numbers. */
const nanos = z.union([z.string().regex(/^\d{1,20}$/), z.int().min(0)]).transform((value) => BigInt(value))
const value = z.looseObject({
  stringValue: z.string().optional(),
  boolValue: z.boolean().optional(),
  intValue: z.union([z.string().regex(/^-?\d{1,20}$/), z.int()]).optional(),
  doubleValue: z.number().optional(),
})
const attributes = z.array(z.looseObject({ key: z.string(), value: value.optional() })).default([])
const span = z.looseObject({
  traceId: z.string().regex(/^[0-9a-f]{32}$/i),
  spanId: z.string().regex(/^[0-9a-f]{16}$/i),
  parentSpanId: z.string().optional(),
  name: z.string().default(''),
  startTimeUnixNano: nanos,
  endTimeUnixNano: nanos,
  attributes,
  events: z.array(z.looseObject({ name: z.string().default(''), timeUnixNano: nanos })).default([]),
  status: z.looseObject({ code: z.int().default(0) }).optional(),
})
/** Of `ExportTraceServiceRequest`, what is shown. Receivers ignore fields that they do not know (OTLP specification). */
const exported = z.looseObject({
  resourceSpans: z
    .array(
      z.looseObject({
        resource: z.looseObject({ attributes }).optional(),
        scopeSpans: z.array(z.looseObject({ spans: z.array(span).default([]) })).default([]),
      }),
    )
    .default([]),
})

const ERROR = 2

/** The spans of an export in JSON. @throws z.ZodError */
export function readExport(json: unknown): ReceivedSpan[] {
  return exported.parse(json).resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(plain(resource?.attributes ?? [])['service.name'] ?? 'unknown')
    return scopeSpans.flatMap(({ spans }) =>
      spans.map((each) => ({
        traceId: each.traceId.toLowerCase(),
        spanId: each.spanId.toLowerCase(),
        parentId: each.parentSpanId?.toLowerCase() || undefined,
        name: each.name,
        service,
        from: each.startTimeUnixNano,
        to: each.endTimeUnixNano,
        failed: each.status?.code === ERROR,
        attributes: plain(each.attributes),
        events: each.events.map(({ name, timeUnixNano }) => ({ name, at: timeUnixNano })),
      })),
    )
  })
}

/** Lists and maps are left out: no span of Verge's has any. */
function plain(list: z.output<typeof attributes>): Record<string, string | number | boolean> {
  const found: Record<string, string | number | boolean> = {}
  for (const { key, value: held } of list) {
    const one = held?.stringValue ?? held?.boolValue ?? held?.doubleValue ?? held?.intValue
    if (one !== undefined) found[key] = held?.intValue === undefined ? one : Number(held.intValue)
  }
  return found
}
