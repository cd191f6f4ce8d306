import { type ErrorCode, isVergeError } from '../core/errors.ts'
import type { Clock, Logger } from '../core/runtime.ts'
import { STATUS } from '../protocols/status.ts'
import { openLedger, type RunLedger } from '../serving/ledger.ts'
import type { RequestObservation, RequestObserver } from '../telemetry/observation.ts'
import type { Access } from './access.ts'

export interface ObservedDeps {
  readonly clock: Clock
  readonly logger: Logger
  /** Is told of each inference. Absent where nobody is. */
  readonly observer?: RequestObserver
}

export interface ObservedOptions {
  /** By which way the request came, where its access does not say. */
  readonly via: string
  /** The request is part of one that was told of when it began. */
  readonly continued?: boolean
}

/** A request that an observer is told of once, when it has ended. */
export class ObservedRequest {
  readonly #deps: ObservedDeps & { readonly observer: RequestObserver }
  readonly #access: Access
  readonly #options: ObservedOptions
  readonly #begun: number
  #model = ''
  #open = true

  private constructor(
    deps: ObservedDeps & { readonly observer: RequestObserver },
    access: Access,
    options: ObservedOptions,
  ) {
    this.#deps = deps
    this.#access = access
    this.#options = options
    this.#begun = deps.clock.now()
  }

  /** Undefined where nobody is to be told. */
  static begin({ clock, logger, observer }: ObservedDeps, access: Access, options: ObservedOptions) {
    return observer && new ObservedRequest({ clock, logger, observer }, access, options)
  }

  /** Says which model the catalogue has for the name that was asked for. */
  found(model: string): void {
    this.#model = model
  }

  /** @param failure why there is no answer; undefined where there is one */
  readonly finish = (failure?: unknown): void => {
    if (!this.#open) return
    this.#open = false
    const { observer, logger } = this.#deps
    const { context } = this.#access
    try {
      observer.observed(this.#observation(context.ledger ?? openLedger(), failure), (work) => context.waitUntil(work))
    } catch (error) {
      logger.error('observer_failed', { requestId: context.requestId, error })
    }
  }

  #observation(ledger: RunLedger, failure: unknown): RequestObservation {
    const { cache, inputTokens, model, origin, originFirstMs, originMs, originUnits, outputTokens } = ledger
    const { generation, named, paced, place, start, timings, units } = ledger
    const [name, version] = model?.split('@', 2) ?? []
    const { via = this.#options.via } = this.#access
    return {
      model: name ?? this.#model,
      version: version ?? '',
      ...(generation !== undefined && { generation }),
      place: place === 'edge' || place === 'origin' ? place : 'none',
      ...(origin !== undefined && { origin }),
      via,
      code: codeOf(failure, ledger.originStatus),
      ...(this.#options.continued === true && { continued: true }),
      ...(named && { named }),
      ...(paced && { paced }),
      ...(isExcused(failure, ledger) && { excused: true }),
      ...(start !== undefined && { start }),
      units,
      originUnits,
      inputTokens,
      outputTokens,
      ...(cache !== undefined && { cache }),
      ...timings,
      ...(place === 'origin' && { originMs }),
      ...(place === 'origin' && originFirstMs !== undefined && { originFirstMs }),
      totalMs: Math.max(0, this.#deps.clock.now() - this.#begun),
    }
  }
}

/** Whether another version had failed in the same way, whatever it is: see `RequestObservation.excused`. */
function isExcused(failure: unknown, { originStatus, paced, place }: RunLedger): boolean {
  // An origin has the same deadline, and may be the first to say so.
  if (failure === undefined) return paced === true && originStatus === STATUS.deadline_exceeded
  // A stream that is read slowly keeps no session.
  if (isVergeError(failure, 'session_lost')) return paced === true
  // Until a run begins, the request waits for its body.
  if (isVergeError(failure, 'deadline_exceeded')) return paced === true || place === undefined
  return isSlowStore(failure)
}

/** Whether a store did not give weights in time. For those that are missing or damaged, nobody is told to ask again. */
export function isSlowStore(failure: unknown): boolean {
  return isVergeError(failure, 'weights_unavailable') && failure.retryAfter !== undefined
}

/** What an origin's own refusal comes to: its body, which may say more, is the caller's. */
const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  413: 'body_too_large',
  429: 'overloaded',
}

function codeOf(failure: unknown, originStatus = 0): 'ok' | ErrorCode {
  if (failure !== undefined) return isVergeError(failure) ? failure.code : 'internal'
  if (originStatus < 400) return 'ok'
  return originStatus < 500 ? (BY_STATUS[originStatus] ?? 'invalid_request') : 'origin_failed'
}
