import { type Context, createContextKey } from '@opentelemetry/api'
import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace'

/** Spans of one request. Those that end after it, such as a load that continues for others, go out by themselves. */
export class Recording {
  readonly #most: number
  readonly #handOver: (spans: readonly ReadableSpan[]) => void
  #spans: ReadableSpan[] | undefined = []
  #begun = 0
  #refused = 0

  /** @param most spans of a request; further ones are counted */
  constructor(most: number, handOver: (spans: readonly ReadableSpan[]) => void) {
    this.#most = most
    this.#handOver = handOver
  }

  /** Whether another span may begin. */
  begin(): boolean {
    if (this.#begun < this.#most) {
      this.#begun++
      return true
    }
    this.#refused++
    return false
  }

  /** Spans that were not begun, because there are too many. */
  get refused(): number {
    return this.#refused
  }

  add(span: ReadableSpan): void {
    if (this.#spans === undefined) this.#handOver([span])
    else this.#spans.push(span)
  }

  /** The request has ended. */
  close(): void {
    const spans = this.#spans ?? []
    this.#spans = undefined
    this.#handOver(spans)
  }
}

const RECORDING = createContextKey('verge.recording')

/** A context whose spans belong to a recording. */
export function withRecording(context: Context, recording: Recording): Context {
  return context.setValue(RECORDING, recording)
}

/** Brings each span that ends to the recording of its request. */
export class RecordingProcessor implements SpanProcessor {
  readonly #recordings = new WeakMap<object, Recording>()

  onStart(span: object, context: Context): void {
    const recording = context.getValue(RECORDING)
    if (recording instanceof Recording) this.#recordings.set(span, recording)
  }

  onEnd(span: ReadableSpan): void {
    this.#recordings.get(span)?.add(span)
  }

  async forceFlush(): Promise<void> {}

  async shutdown(): Promise<void> {}
}
