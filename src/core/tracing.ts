/** What a span may say. Names of the catalogue, codes, routes and figures; never text of a request, and never a key. */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>

/** A piece of work in a trace. */
export interface Span {
  /** Attributes that are undefined are left out. */
  set(attributes: Attributes): void
  /** A piece of this one that is known when it is over. @param from milliseconds since 1970, as `to` */
  part(name: string, attributes: Attributes, from: number, to: number): void
}

/** A span of work that goes on when the call that began it is over. */
export interface OpenSpan extends Span {
  /** A moment within it. */
  event(name: string): void
  /** Does a step of the work, whose own steps have no spans: a text has as many as tokens. */
  step<T>(work: () => T): T
  /** The first call counts. @param error what the work failed with */
  end(error?: unknown): void
}

/** Records what a request waits for. Work of requests that are not recorded costs a look. */
export interface Tracer {
  /**
   * Does work in a span of the request that is being worked for. A failure marks the span with its code, and is thrown on.
   * @param work is given the span; undefined where the request is not recorded
   */
  span<T>(name: string, attributes: Attributes, work: (span: Span | undefined) => Promise<T>): Promise<T>
  /** Begins a span that somebody ends; undefined where the request is not recorded. */
  open(name: string, attributes: Attributes): OpenSpan | undefined
  /** `traceparent` and `tracestate` for what this request asks of others; none where it belongs to no trace. */
  headers(): Readonly<Record<string, string>>
  /** Milliseconds since 1970, as spans have them. */
  now(): number
}

/** A request as it comes in. */
export interface Arrival {
  readonly name: string
  readonly attributes: Attributes
  /** By `now`. */
  readonly at: number
  /** Whether the caller may continue a trace of its own, and ask for one to be recorded. */
  readonly trusted: boolean
  /** It was refused before anybody knew who sent it: what anyone may send in masses is recorded within a bound of its own. */
  readonly refused?: true
  /** It begins a trace of its own, with a link to the one that it came with: there may be thousands, as of a socket's messages. */
  readonly apart?: true
  /** The headers `traceparent` and `tracestate`, as they came. */
  readonly parent?: string | undefined
  readonly state?: string | undefined
  waitUntil(work: Promise<unknown>): void
}

/** The first span of a request in this process. */
export interface RequestSpan extends Span {
  /** `traceparent` of this span. */
  readonly id: string
  readonly traceId: string
  rename(name: string): void
  /** The request failed. @param broken whether that is this server's fault */
  failed(code: string, broken: boolean): void
  /** The request goes on after this work. @returns ends the span */
  keep(): () => void
}

/** Decides which requests are recorded, and records them. */
export interface RequestTracer extends Tracer {
  /** @param work is given the span; undefined where the request is not recorded */
  request<T>(arrival: Arrival, work: (span: RequestSpan | undefined) => Promise<T>): Promise<T>
}
