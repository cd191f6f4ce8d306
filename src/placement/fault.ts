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
