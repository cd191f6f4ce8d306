import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Caller } from '../access/authorize.ts'
import { claimsSignature, TIME_HEADER } from '../access/signature.ts'
import { isVergeError, VergeError } from '../core/errors.ts'
import { REQUEST_ID_HEADER } from '../core/headers.ts'
import type { Clock, Logger } from '../core/runtime.ts'
import { requestIdFrom } from '../core/runtime.ts'
import { errorResponse, errorShapeAt, statusOf } from '../http/error-response.ts'
import type { InFlight } from './in-flight.ts'
import type { OriginMetrics } from './metrics.ts'
import { type RequestNotes, requestNotes } from './model-notes.ts'
import { routeOf } from './route.ts'
import type { SignedRequest, SignedRequests } from './signed.ts'

export interface Connection {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
}

export interface GatewayOptions {
  readonly signed: SignedRequests
  readonly inFlight: InFlight
  readonly metrics: OriginMetrics
  readonly clock: Clock
  readonly logger: Logger
  readonly randomId: () => string
  /** Answers what has been let in. */
  readonly answer: (signed: SignedRequest, connection: Connection) => Promise<Response> | Response
  /** Answers what needs no signature: states of health, which say nothing of models. */
  readonly health: (given: SignedRequest, connection: Connection) => Promise<Response> | Response
}

/** Load balancers call these without a key. */
const OPEN = new Set(['/healthz', '/v2/health/live', '/v2/health/ready'])
const ANONYMOUS: Caller = { kind: 'anonymous' }
/** Seconds until a load balancer has removed this origin. */
const RETRY_ELSEWHERE = 1

/** The gateway before the routes: counts requests, and refuses unsigned requests and requests during a shutdown. */
export function gateway(options: GatewayOptions): (request: Request, connection: Connection) => Promise<Response> {
  const { inFlight } = options
  return (request, connection) => {
    const path = new URL(request.url).pathname
    const isOpen = OPEN.has(path) && (request.method === 'GET' || request.method === 'HEAD')
    const notes: RequestNotes = {}
    // Requests refused during the drain do not count as work: otherwise the drain might never end.
    const done = isOpen || inFlight.draining ? () => {} : inFlight.begin()
    const begun = options.clock.now()
    connection.outgoing.once('close', () => {
      done()
      count(options, routeOf(path), notes, connection.outgoing, options.clock.now() - begun)
    })
    return requestNotes.run(notes, async () => {
      try {
        const admit = () => options.signed.admit(request, connection.incoming.url ?? path)
        if (isOpen) {
          // A Worker's probe is signed, and has to hear that its key is wrong before requests do.
          const hasCredential = claimsSignature(request.headers) || request.headers.has('authorization')
          const given = hasCredential ? await admit() : { request, caller: ANONYMOUS }
          return await options.health(given, connection)
        }
        if (inFlight.draining) throw drainingError()
        const signed = await admit()
        const response = await options.answer(signed, connection)
        // While it drains, a client that keeps its connection would come back on it.
        if (inFlight.draining) response.headers.set('connection', 'close')
        return response
      } catch (error) {
        return refuse(options, request, path, error)
      }
    })
  }
}

function refuse(
  { clock, logger, randomId, inFlight }: GatewayOptions,
  request: Request,
  path: string,
  thrown: unknown,
) {
  const error = isVergeError(thrown)
    ? thrown
    : new VergeError('internal', 'The origin failed. Try again.', { cause: thrown })
  const requestId = requestIdFrom(request.headers.get(REQUEST_ID_HEADER), randomId)
  const shape = errorShapeAt(path)
  const status = statusOf(shape, error)
  const fields = { requestId, method: request.method, path, status, code: error.code, ...error.details }
  if (status < 500 || inFlight.draining) logger.info('request_refused', fields)
  else logger.error('request_failed', { ...fields, error })
  return errorResponse(shape, error, requestId, {
    'cache-control': 'no-store',
    [REQUEST_ID_HEADER]: requestId,
    ...(error.details?.reason === 'clock_skew' && { [TIME_HEADER]: String(Math.floor(clock.now())) }),
    // A body that has not been read would have to be, before the connection could be used again.
    ...((inFlight.draining || request.body !== null) && { connection: 'close' }),
  })
}

function count(
  { metrics }: GatewayOptions,
  route: string,
  { model = 'none' }: RequestNotes,
  outgoing: ServerResponse,
  ms: number,
): void {
  const status = outgoing.writableFinished ? String(outgoing.statusCode) : 'closed'
  metrics.requests.inc({ model, route, status })
  metrics.requestSeconds.observe({ model, route }, ms / 1000)
}

function drainingError(): VergeError {
  return new VergeError('origin_unavailable', 'This origin is shutting down. Use another origin.', {
    retryAfter: RETRY_ELSEWHERE,
    details: { reason: 'draining' },
  })
}
