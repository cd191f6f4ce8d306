import type { Coordinates } from '../core/runtime.ts'

/** What an origin speaks: Verge's own API, the Open Inference Protocol v2, or OpenAI's. */
export const ORIGIN_KINDS = ['verge', 'oip', 'openai'] as const
export type OriginKind = (typeof ORIGIN_KINDS)[number]

export type Fetch = (request: Request) => Promise<Response>

/** How long to wait for an origin, in milliseconds. */
export interface OriginTimeouts {
  /** From sending to the answer's headers. */
  readonly headersMs: number
  /** Between two pieces of an answer. */
  readonly idleMs: number
  /** For all of an exchange, streams included. */
  readonly totalMs: number
}

/** What the Worker asks to be done, before it is signed. */
export interface OriginRequest {
  readonly method: 'GET' | 'POST'
  /** With its query: `/run/digits?version=2`. */
  readonly path: string
  /** Of the body and of what is wanted; no credentials, nothing of the connection. */
  readonly headers: Headers
  readonly body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null
  readonly requestId: string
  /** On whose behalf: `callerName` of `access/authorize.ts`. */
  readonly caller: string
  /** Raised when the caller leaves or its deadline passes. */
  readonly signal: AbortSignal
}

/** Gives a request what proves who sends it. May be asked again after the origin has said that our clock is off. */
export interface OriginAuth {
  headers(request: OriginRequest, url: URL): Promise<Readonly<Record<string, string>>>
  /** The origin's clock, learnt from an answer: what is signed from now on is stamped by it. */
  correct?(originTimeMs: number): void
}

/** A place with a larger machine, as the operator describes it and with what is needed to reach it. */
export interface Origin {
  readonly name: string
  readonly kind: OriginKind
  /** Base address, without a slash at its end. */
  readonly url: string
  readonly at?: Coordinates
  /** Share of the work among origins that are as near. */
  readonly weight: number
  /** Our model names, with what the origin calls them; undefined: every model of the catalogue, by the same name. */
  readonly models?: ReadonlyMap<string, string>
  readonly timeouts: OriginTimeouts
  readonly fetch: Fetch
  readonly auth: OriginAuth
}

/** What the origin calls a model; undefined if it does not have it. */
export function upstreamName(origin: Pick<Origin, 'models'>, model: string): string | undefined {
  return origin.models === undefined ? model : origin.models.get(model)
}
