import type { Context, MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import { type Caller, callerInLog, callerName } from '../../access/authorize.ts'
import { claimsSignature } from '../../access/signature.ts'
import { stickyOf } from '../../access/sticky.ts'
import { declaredLength } from '../../core/body.ts'
import { VergeError } from '../../core/errors.ts'
import {
  BOUNDS_HEADER,
  BUDGET_HEADER,
  MODEL_HEADER,
  PLACE_HEADER,
  PLACEMENT_HEADER,
  RESULT_CACHE_HEADER,
  STICKY_HEADER,
  TIMEOUT_HEADER,
  USAGE_HEADER,
} from '../../core/headers.ts'
import type { Clock, Coordinates, Logger, RunCounter } from '../../core/runtime.ts'
import { withCall } from '../../inference/call.ts'
import { readBounds, writeUsage } from '../../placement/origin-usage.ts'
import type { PlaceHint } from '../../placement/placement.ts'
import { openLedger, type RunLedger } from '../../serving/ledger.ts'
import type { CacheMode } from '../../serving/serving.ts'
import type { AppEnv } from '../app-env.ts'
import { setLimitHeaders } from '../limit-headers.ts'

export interface ContextOptions {
  readonly clock: Clock
  readonly deadlineMs: number
  readonly logger: Logger
  readonly runs: RunCounter
}

/**
 * Gives handlers a `CallContext`: one signal for the caller's leaving and for the deadline, and `waitUntil`.
 * `verge-timeout-ms` may shorten the deadline, never lengthen it.
 */
export function callContext({ clock, deadlineMs, logger, runs }: ContextOptions): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const timeoutMs = Math.min(deadlineMs, requestedTimeout(c.req.header(TIMEOUT_HEADER)) ?? deadlineMs)
    const requestId = c.get('requestId')
    await withCall(
      { clock, logger, runs },
      { requestId, timeoutMs, left: c.req.raw.signal, waitUntil: (work) => keepAlive(c, work) },
      (context) => {
        c.set('context', context)
        return next()
      },
    )
  }
}

function requestedTimeout(header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  const milliseconds = Number(header)
  if (!/^\d{1,9}$/.test(header) || milliseconds === 0) {
    throw new VergeError(
      'invalid_request',
      'The header "verge-timeout-ms" must be a whole number of milliseconds above 0.',
    )
  }
  return milliseconds
}

/** Keeps work alive behind the answer. */
export function keepAlive(c: Context<AppEnv>, work: Promise<unknown>): void {
  try {
    c.executionCtx.waitUntil(work)
  } catch {
    // Hono throws where the runtime has no execution context (Node); there, promises live as long as the process.
  }
}

const HINTS: readonly PlaceHint[] = ['edge', 'origin', 'auto']

/**
 * Opens a request to placement: notes where its caller is, as far as the platform knows, and where it wants to be
 * computed.
 */
export function placementHints(): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const given = c.req.header(PLACE_HEADER)
    const hint = HINTS.find((candidate) => candidate === (given ?? 'auto'))
    if (hint === undefined) {
      throw new VergeError('invalid_request', `The header "${PLACE_HEADER}" must be one of ${HINTS.join(', ')}.`, {
        details: { field: PLACE_HEADER },
      })
    }
    const at = coordinatesOf((c.req.raw as { readonly cf?: CfLike }).cf)
    c.set('context', { ...c.get('context'), placement: { hint, ...(at && { callerAt: at }) } })
    await next()
  }
}

/** What is used of `request.cf`; absent outside the platform and for calls between Workers. */
interface CfLike {
  readonly latitude?: unknown
  readonly longitude?: unknown
  readonly continent?: unknown
}

/**
 * Middle of where a continent's people are, to a few degrees: for a caller of whom the platform knows no more. Antarctica
 * is left out; its cables end elsewhere.
 */
const CONTINENTS: Readonly<Record<string, Coordinates>> = {
  AF: { latitude: 5, longitude: 20 },
  AS: { latitude: 28, longitude: 95 },
  EU: { latitude: 49, longitude: 12 },
  NA: { latitude: 38, longitude: -92 },
  OC: { latitude: -30, longitude: 147 },
  SA: { latitude: -15, longitude: -57 },
}

/** Where the caller is: its coordinates, else its continent, else undefined. */
export function coordinatesOf(cf: CfLike | null | undefined): Coordinates | undefined {
  if (cf === null || cf === undefined) return undefined
  const latitude = degrees(cf.latitude, 90)
  const longitude = degrees(cf.longitude, 180)
  if (latitude !== undefined && longitude !== undefined) return { latitude, longitude }
  const { continent } = cf
  return typeof continent === 'string' && Object.hasOwn(CONTINENTS, continent) ? CONTINENTS[continent] : undefined
}

/** The platform gives degrees as text. */
function degrees(value: unknown, most: number): number | undefined {
  if (typeof value !== 'number' && (typeof value !== 'string' || value.trim() === '')) return undefined
  const number = Number(value)
  return Math.abs(number) <= most ? number : undefined
}

/**
 * Opens the result cache to a request, as far as its `Cache-Control` allows, and says what came of it; and notes whose request
 * it is, for the choice of a version. Stands behind the middleware that learns who is calling: results of private models are
 * kept for each caller alone.
 * @param deadlineMs of requests that ask for no shorter one
 */
export function resultCache(deadlineMs: number): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const ledger = openLedger()
    if (Number(c.req.header(TIMEOUT_HEADER) ?? deadlineMs) < deadlineMs) ledger.paced = true
    const caller = c.get('caller')
    // The Worker that passes a request on to this origin has decided what its caller's plan allows.
    const bounds = caller.kind === 'relayed' ? c.req.header(BOUNDS_HEADER) : undefined
    if (bounds !== undefined) ledger.bounds = readBounds(bounds)
    c.set('context', {
      ...c.get('context'),
      cache: { mode: modeOf(c.req.header('cache-control')), scope: callerName(caller) },
      ledger,
      sticky: stickyIn(c, caller),
    })
    await next()
    if (ledger.cache !== undefined && c.res.ok) c.res.headers.set(RESULT_CACHE_HEADER, ledger.cache)
  }
}

/** Whose request it is while several versions are live. */
export function stickyIn(c: Context<AppEnv>, caller: Caller): string | undefined {
  const { headers } = c.req.raw
  return stickyOf(caller, {
    asked: headers.get(STICKY_HEADER) ?? undefined,
    address: headers.get('cf-connecting-ip') ?? undefined,
    userAgent: headers.get('user-agent') ?? undefined,
  })
}

/** RFC 9111, 5.2.1: `no-store` leaves no trace; `no-cache` and `max-age=0` want a fresh answer, which may be kept. */
function modeOf(header: string | undefined): CacheMode {
  const directives = (header ?? '').split(',').map((directive) => directive.trim().toLowerCase())
  if (directives.includes('no-store')) return 'off'
  const fresh = directives.some((directive) => directive === 'no-cache' || /^max-age="?0+"?$/.test(directive))
  return fresh ? 'refresh' : 'use'
}

/** Which requests that succeed leave a line in the log. */
export interface RequestLog {
  /** Share of them, 0 to 1. */
  readonly sampleRate: number
  /** Uniform in [0, 1). */
  readonly random: () => number
}

/**
 * Says on an answer which version it is from, and logs a sample of the requests that succeed. Stands behind the
 * middleware that opens the ledger.
 */
export function answered(logger: Logger, log: RequestLog | undefined): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    await next()
    const { ledger } = c.get('context')
    if (ledger !== undefined) sayLimits(c, ledger)
    // Errors are logged with their reasons, each of them, by the error handler.
    if (log !== undefined && c.res.status < 400 && c.get('refused') !== true && log.random() < log.sampleRate) {
      logger.info('request_answered', fieldsOf(c))
    }
  }
}

/** Whether a Worker passes the request on, to this origin. */
export function isPassedOn(c: Context<AppEnv>): boolean {
  const { kind } = c.get('caller')
  return kind === 'relayed' || (kind === 'operator' && claimsSignature(c.req.raw.headers))
}

function sayLimits(c: Context<AppEnv>, ledger: RunLedger): void {
  const { headers } = c.res
  const { model, permit } = ledger
  if (model !== undefined) headers.set(MODEL_HEADER, model)
  if (permit?.state !== undefined) setLimitHeaders(headers, permit.state)
  if (permit?.low === true) headers.set(BUDGET_HEADER, 'low')
  if (model === undefined || !isPassedOn(c)) return
  // A stream says so at its end.
  if (headers.get('content-type')?.startsWith('text/event-stream') !== true)
    headers.set(USAGE_HEADER, writeUsage(ledger))
}

/** What is known when an answer begins: never a body, a query, a key or anything else that the caller wrote freely. */
function fieldsOf(c: Context<AppEnv>) {
  const { ledger } = c.get('context')
  return {
    requestId: c.get('requestId'),
    traceId: c.get('traceId'),
    method: c.req.method,
    // The pattern, because a path may hold anything.
    route: routePath(c, -1),
    model: ledger?.model,
    status: c.res.status,
    caller: callerInLog(c.get('caller')),
    placement: c.res.headers.get(PLACEMENT_HEADER) ?? undefined,
    cache: ledger?.cache,
    cost: ledger?.cost,
    requestBytes: declaredLength(c.req.header('content-length')),
  }
}
