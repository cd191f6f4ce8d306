import type { Context, MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import type { Caller } from '../../access/authorize.ts'
import { PLACEMENT_HEADER } from '../../core/headers.ts'
import type { Attributes, RequestSpan, RequestTracer } from '../../core/tracing.ts'
import { attributesOf } from '../../inference/span-attributes.ts'
import { watched } from '../../placement/origin-usage.ts'
import type { AppEnv } from '../app-env.ts'

/** From here on a status says that the failure is not its caller's. */
const FIRST_FAULT = 500

/** Methods as spans name them; another one is what its caller wrote. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])

/** Notes when a request came, for its span, which begins when its caller is known. */
export function arrival(tracer: RequestTracer): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    c.set('arrivedAt', tracer.now())
    await next()
  }
}

/**
 * Records requests. Stands behind the middleware that learns who is calling, because that decides whose traces are continued,
 * and before everything that reads more than the caller's credential.
 */
export function traced(tracer: RequestTracer): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const { req } = c
    const method = METHODS.has(req.method) ? req.method : '_OTHER'
    const caller = c.get('caller')
    const trusted = isTrusted(caller)
    const at = c.get('arrivedAt') ?? tracer.now()
    const arriving = {
      name: method,
      attributes: { 'http.request.method': method, 'url.scheme': new URL(req.url).protocol.slice(0, -1) },
      at,
      trusted,
      parent: req.header('traceparent'),
      state: req.header('tracestate'),
      waitUntil: c.get('context').waitUntil,
    }
    await tracer.request(arriving, async (span) => {
      span?.part('authorize', { 'verge.caller': caller.kind }, at, tracer.now())
      if (span !== undefined) c.set('traceId', span.traceId)
      await next()
      if (span !== undefined) describe(c, span, method, trusted)
    })
  }
}

/**
 * Whose traces are continued and whose wish to be recorded counts: who the operator has given a credential. A browser
 * token is in a page that anyone may open.
 */
function isTrusted(caller: Caller): boolean {
  return caller.kind === 'granted' ? caller.by !== 'token' : caller.kind !== 'anonymous'
}

/** Answers that are written while they are read. */
const STREAMED = /^(?:text\/event-stream|application\/x-ndjson)/

function describe(c: Context<AppEnv>, span: RequestSpan, method: string, trusted: boolean): void {
  const route = routePath(c, -1)
  span.rename(`${method} ${route}`)
  span.set({ 'http.route': route, 'http.response.status_code': c.res.status })
  if (trusted) c.res.headers.set('traceresponse', span.id)
  const { body, headers } = c.res
  if (body === null || !STREAMED.test(headers.get('content-type') ?? '')) {
    conclude(c, span)
    return
  }
  const end = span.keep()
  const ended = (): void => {
    conclude(c, span)
    end()
  }
  c.res = new Response(watched(body, { push() {} }, ended), c.res)
}

/** What is known when the answer is over: what it took, and whether it failed. */
function conclude(c: Context<AppEnv>, span: RequestSpan): void {
  const { ledger } = c.get('context')
  span.set({ ...(ledger && attributesOf(ledger)), ...placeOf(c.res) })
  const failure = c.get('failure')
  if (failure !== undefined) span.failed(failure.code, failure.status >= FIRST_FAULT)
}

/** Where the answer says that it was computed. */
function placeOf({ headers }: Response): Attributes {
  const place = headers.get(PLACEMENT_HEADER)?.split(';', 1)[0]
  return place === undefined ? {} : { 'verge.place': place }
}
