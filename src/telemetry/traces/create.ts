import { resourceFromAttributes } from '@opentelemetry/resources'
import { AlwaysOnSampler, TracerProvider } from '@opentelemetry/sdk-trace'
import { ATTR_SERVICE_NAME, ATTR_SERVICE_VERSION } from '@opentelemetry/semantic-conventions'
import type { Limits } from '../../core/limits.ts'
import type { Clock, Logger } from '../../core/runtime.ts'
import type { RequestTracer } from '../../core/tracing.ts'
import { OtlpExporter } from './exporter.ts'
import { RecordingProcessor } from './recording.ts'
import { Sampling } from './sampling.ts'
import type { TraceSettings } from './settings.ts'
import { type Active, type ContextStorage, StorageTracer } from './tracer.ts'

export interface TracingOptions {
  readonly settings: TraceSettings
  /** Most requests in a minute that are recorded because a trusted caller asks for it. */
  readonly askedPerMinute: number
  /** The same, of those that were refused before their callers were known. */
  readonly refusedPerMinute: number
  readonly service: { readonly name: string; readonly version: string; readonly place: 'edge' | 'origin' }
  readonly storage: ContextStorage<Active>
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: Limits
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** As `TracerOptions` has it; the clock's if left out. */
  readonly now?: () => number
}

export interface Tracing {
  readonly tracer: RequestTracer
  readonly exporter: OtlpExporter
}

/** Puts tracing together. */
export function createTracing(options: TracingOptions): Tracing {
  const { clock, limits, service, settings, storage } = options
  const exporter = new OtlpExporter({ ...options, to: settings })
  const provider = new TracerProvider({
    // Who is recorded is decided before a span is made.
    sampler: new AlwaysOnSampler(),
    resource: resourceFromAttributes({
      [ATTR_SERVICE_NAME]: service.name,
      [ATTR_SERVICE_VERSION]: service.version,
      'verge.place': service.place,
    }),
    spanLimits: { attributeCountLimit: limits.traceAttributes, attributeValueLengthLimit: limits.traceAttributeLength },
    spanProcessors: [new RecordingProcessor()],
  })
  const tracer = new StorageTracer({
    tracer: provider.getTracer('verge', service.version),
    storage,
    sampling: new Sampling({ ...options, rate: settings.sampleRate }),
    now: options.now ?? (() => clock.now()),
    mostSpans: limits.traceSpans,
    handOver: (spans, waitUntil) => exporter.add(spans, waitUntil),
  })
  return { tracer, exporter }
}
