import type { Context, MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import type { Caller } from '../../access/authorize.ts'
import { PLACEMENT_HEADER } from '../../core/headers.ts'
import type { Attributes, RequestSpan, RequestTracer } from '../../core/tracing.ts'
import type { CallContext } from '../../inference/call.ts'
import { attributesOf } from '../../inference/span-attributes.ts'
import { watched } from '../../placement/origin-usage.ts'
import type { StreamTrace } from '../../stream/stream-options.ts'
import type { AppEnv } from '../app-env.ts'
import { keepAlive } from './call.ts'

/** Methods as spans name them; another one is what its caller wrote. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])

/**
 * Notes when a request came, for its span, which begins when its caller is known. One that is refused before has a span
 * without a caller: it is drawn, and what it says of a trace is no more than a link.
 */
export function arrival(tracer: RequestTracer): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const at = tracer.now()
    c.set('arrivedAt', at)
    await next()
    const known = c.get('caller') as Caller | undefined
    if (known !== undefined || c.get('failure') === undefined) return
    const arriving = {
      ...arrivalOf(c, at),
      trusted: false,
      refused: true,
      waitUntil: keepAlive.bind(undefined, c),
    } as const
    await tracer.request(arriving, async (span) => {
      if (span !== undefined) describe(c, span, arriving.name, false)
    })
  }
}

/**
 * Records requests. Stands behind the middleware that learns who is calling, because that decides whose traces are continued,
 * and before everything that reads more than the caller's credential.
 */
export function traced(tracer: RequestTracer): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const caller = c.get('caller')
    const trusted = isTrusted(caller)
    const at = c.get('arrivedAt') ?? tracer.now()
    const arriving = { ...arrivalOf(c, at), trusted, waitUntil: c.get('context').waitUntil }
    await tracer.request(arriving, async (span) => {
      span?.part('authorize', { 'verge.caller': caller.kind }, at, tracer.now())
      if (span !== undefined) c.set('traceId', span.traceId)
      await next()
      if (span !== undefined) describe(c, span, arriving.name, trusted)
    })
  }
}

/** A request as it came. Its name is its method. */
function arrivalOf({ req }: Context<AppEnv>, at: number) {
  const method = METHODS.has(req.method) ? req.method : '_OTHER'
  return {
    name: method,
    attributes: { 'http.request.method': method, 'url.scheme': new URL(req.url).protocol.slice(0, -1) },
    at,
    parent: req.header('traceparent'),
    state: req.header('tracestate'),
  }
}

/**
 * Whose traces are continued and whose wish to be recorded counts: who the operator has given a credential. A browser
 * token is in a page that anyone may open.
 */
function isTrusted(caller: Caller): boolean {
  return caller.kind === 'granted' ? caller.by !== 'token' : caller.kind !== 'anonymous'
}

/** W3C Trace Context, 3.2: other versions of it may be longer, and are not kept with a stream. */
const TRACE_PARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/

/** What a stream keeps of the trace that it is opened in. @param opener who opens it, which its protocol may have said */
export function streamTrace({ req }: Context<AppEnv>, tracer: RequestTracer, opener: Caller): StreamTrace {
  const sent = req.header('traceparent')
  const parent = tracer.headers().traceparent ?? sent
  const trusted = sent !== undefined && isTrusted(opener)
  return parent !== undefined && TRACE_PARENT.test(parent) ? { parent, trusted } : { trusted: false }
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
  // A request may be refused before it has one.
  const context = c.get('context') as CallContext | undefined
  const ledger = context?.ledger
  span.set({ ...(ledger && attributesOf(ledger)), ...placeOf(c.res) })
  const failure = c.get('failure')
  if (failure !== undefined) span.failed(failure.code, failure.status >= 500)
}

/** Where the answer says that it was computed. */
function placeOf({ headers }: Response): Attributes {
  const place = headers.get(PLACEMENT_HEADER)?.split(';', 1)[0]
  return place === undefined ? {} : { 'verge.place': place }
}
