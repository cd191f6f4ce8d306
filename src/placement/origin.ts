import { VergeError } from '../core/errors.ts'
import type { Coordinates } from '../core/runtime.ts'
import type { ForwardRoute } from './placement.ts'

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
  /** Dollars for an hour of its work, for the usage of callers; undefined: it is not priced. */
  readonly usdPerHour?: number
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

/** What can go wrong between the Worker and an origin. */
export type OriginFaultKind =
  /** No connection: nothing was done there. */
  | 'refused'
  /** No headers within the time for them. */
  | 'headers-timeout'
  /** The same, of a body that is passed on as it comes: perhaps the caller has not sent all of it. */
  | 'body-timeout'
  /** The answer stopped coming. */
  | 'idle-timeout'
  /** The connection broke after the request was sent. */
  | 'cut'
  /** 5xx other than those below. */
  | 'error-status'
  /** 429 or 503: it lives, and has no room. */
  | 'overloaded'
  /** It is well, and cannot answer this: it lacks the model, or its machine cannot run it. */
  | 'unable'
  /** 401 or 403, or a clock that is off: it lives, and does not believe us. */
  | 'unauthorized'
  /** 404 or alike from a proxy, a body that is not what its header says, tensors of a wrong shape. */
  | 'garbage'
  /** The model's run killed the engine there; the same request would kill the next one. */
  | 'engine-crash'

export interface OriginFaultOptions {
  readonly origin: string
  readonly cause?: unknown
  readonly status?: number
  /** Milliseconds after which the origin says that it may be asked again. */
  readonly retryAfterMs?: number
}

interface Consequence {
  /** Whether another origin, or this one, may be asked again with the same request. */
  readonly retry: boolean
  /** Whether it speaks against the origin's health. */
  readonly counts: boolean
}

const CONSEQUENCES: Readonly<Record<OriginFaultKind, Consequence>> = {
  refused: { retry: true, counts: true },
  'headers-timeout': { retry: true, counts: true },
  // If it counted, a few slow callers could shut the origin off for everybody. Probes and small requests find one that hangs.
  'body-timeout': { retry: false, counts: false },
  'idle-timeout': { retry: true, counts: true },
  cut: { retry: true, counts: true },
  'error-status': { retry: true, counts: true },
  // It is well; asking it less is what the load needs, and that is done by going elsewhere.
  overloaded: { retry: true, counts: false },
  unable: { retry: true, counts: false },
  unauthorized: { retry: true, counts: true },
  garbage: { retry: true, counts: true },
  // The origin itself answered. If it counted, whoever knows such an input could shut the origin off for everybody.
  'engine-crash': { retry: false, counts: false },
}

/** An origin did not answer as it should. Never reaches a caller: it becomes a retry, a fallback or a typed error. */
export class OriginFault extends Error {
  override readonly name = 'OriginFault'
  readonly kind: OriginFaultKind
  readonly origin: string
  readonly status: number | undefined
  readonly retryAfterMs: number | undefined

  constructor(kind: OriginFaultKind, message: string, options: OriginFaultOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.kind = kind
    this.origin = options.origin
    this.status = options.status
    this.retryAfterMs = options.retryAfterMs
  }

  get consequence(): Consequence {
    return CONSEQUENCES[this.kind]
  }
}

/** What to say where an origin answered and what it said cannot be used: asking again soon will not change that. */
const UNUSABLE: Readonly<Partial<Record<OriginFaultKind, string>>> = {
  garbage: 'The origin returned an invalid answer. Try again. If the error persists, its operator must check the log.',
  unable: 'The origin cannot run this model for this request. Its operator must check the log.',
  'engine-crash': 'This request ended the engine of the origin. Do not repeat it. Send other inputs.',
}

/**
 * What a caller is told when no origin answered. Origins are named, because an operator asks for that first.
 * @param faults of the tries, in order; empty where none was allowed
 * @param waitMs until the first of the origins may be asked again
 */
export function noOriginError(faults: readonly OriginFault[], waitMs: number): VergeError {
  const last = faults.at(-1)
  const origins = [...new Set(faults.map(({ origin }) => origin))]
  const details = { origins, reason: last?.kind ?? 'breaker-open' }
  const unusable = last && UNUSABLE[last.kind]
  if (unusable !== undefined) return new VergeError('origin_failed', unusable, { details, cause: last })
  if (last !== undefined && faults.every(({ kind }) => kind === 'overloaded')) {
    const waits = faults.map(({ retryAfterMs }) => retryAfterMs ?? OVERLOADED_MS)
    return new VergeError('overloaded', 'Every origin of this model is full. Try again in a moment.', {
      details,
      cause: last,
      retryAfter: seconds(Math.min(...waits)),
    })
  }
  return new VergeError('origin_unavailable', 'No origin answered. Try again in a moment.', {
    details,
    cause: last,
    retryAfter: seconds(waitMs),
  })
}

/** How long to leave origins alone that are full and do not say for how long. */
const OVERLOADED_MS = 1_000
/** Longer is no advice: by then anything may have changed. */
const MOST_SECONDS = 60

function seconds(ms: number): number {
  return Math.min(MOST_SECONDS, Math.max(1, Math.ceil(ms / 1000)))
}

/** How a route can be had from an origin: the request as it is, its tensors alone, or not at all. */
export type RouteSupport = 'forward' | 'tensors' | 'no'

/**
 * What an origin of a kind makes of a route. One that speaks the Open Inference Protocol alone runs the network of a
 * task; what comes before and after is then done here.
 * @param generates whether the model runs once for each token of the answer, which tensors alone cannot ask for
 */
export function routeSupport(kind: OriginKind, route: ForwardRoute, generates = false): RouteSupport {
  switch (kind) {
    case 'verge':
      return 'forward'
    case 'oip':
      if (generates) return 'no'
      return route === 'oip' ? 'forward' : 'tensors'
    case 'openai':
      return route === 'openai' || route === 'rerank' ? 'forward' : 'no'
  }
}
