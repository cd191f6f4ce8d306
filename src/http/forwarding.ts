import type { Context } from 'hono'
import { callerName } from '../access/authorize.ts'
import { isOriginFailure } from '../placement/failures.ts'
import type { Forwarded, ForwardRoute } from '../placement/placement.ts'
import type { Ticket } from '../serving/admission.ts'
import type { ResolvedModel } from '../serving/serving.ts'
import type { AppDeps, AppEnv } from './app-env.ts'
import { declaredLength, paceOf, readBody } from './body.ts'
import type { Place } from './place.ts'

export interface ForwardQuestion {
  readonly model: ResolvedModel
  readonly route: ForwardRoute
  /** The body, where it has been read already. */
  readonly bytes?: Uint8Array<ArrayBuffer>
  /** The path to ask an origin for, with no query, where it is not the request's own. */
  readonly path?: string
  /** Among the requests that are computed here; given up where an origin is asked. */
  readonly place: Place
  /** The edge was asked, and could not answer. */
  readonly failed?: boolean
  /** A text is wanted as a stream. */
  readonly streamed?: boolean
}

/**
 * Has an origin answer where that is decided; undefined where this isolate is to, from a body that can still be read.
 * @throws what `Placement` throws, and what reading a body throws
 */
export async function forwarded(
  deps: AppDeps,
  c: Context<AppEnv>,
  { bytes, failed = false, model, path, place, route, streamed = false }: ForwardQuestion,
): Promise<Response | undefined> {
  const { placement } = deps
  if (placement === undefined) return undefined
  const context = c.get('context')
  const facts = { route, full: !place.held, failed }
  const way = await placement.route(model, facts, context)
  if (!way.forward) return undefined
  place.leave()
  const { raw } = c.req
  let body: Forwarded['body'] = bytes ?? null
  let passing: Ticket | undefined
  try {
    passing = placement.admission.enter(context.requestId)
    if (bytes !== undefined) passing.hold(bytes.length)
    else body = await bodyOf(deps, c, passing)
    const wholeText = model.manifest.task === 'text-generation' && route !== 'oip' && !streamed
    return await placement.forward(model, facts, { ...forwardedRequest(c, route, body, path), wholeText }, context)
  } catch (error) {
    // What is streamed is gone, and cannot be answered here instead.
    const there = body instanceof Uint8Array || raw.body?.locked !== true
    if (!(way.fallback && there && isOriginFailure(error))) throw error
    if (bytes === undefined && body instanceof Uint8Array) c.req.raw = readable(raw, body)
    if (context.placement !== undefined) context.placement.originRefusal = 'origin-down'
    deps.logger.warn('answered_here_instead', { requestId: context.requestId, model: model.manifest.model })
    return undefined
  } finally {
    passing?.leave()
  }
}

/** A body of known, small size whole, so that it can be signed and sent again; another one as it comes. */
async function bodyOf(
  deps: AppDeps,
  c: Context<AppEnv>,
  passing: Ticket,
): Promise<Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null> {
  const { limits } = deps
  const { raw } = c.req
  const declared = declaredLength(raw.headers.get('content-length'))
  if (raw.body === null) return null
  if (declared === undefined || declared > limits.replayableBodyBytes) return raw.body
  const { signal } = c.get('context')
  return readBody(raw, {
    maxBytes: limits.replayableBodyBytes,
    signal,
    hold: passing.hold,
    reading: passing.reading,
    pace: paceOf(deps),
  })
}

/** A request whose body has been read, so that it can be read once more. */
function readable({ headers, method, signal, url }: Request, body: Uint8Array<ArrayBuffer>): Request {
  return new Request(url, { method, headers, body, signal })
}

function forwardedRequest(
  c: Context<AppEnv>,
  route: ForwardRoute,
  body: Forwarded['body'],
  path: string | undefined,
): Forwarded {
  const { pathname, search } = new URL(c.req.url)
  return {
    route,
    method: 'POST',
    path: (path ?? pathname) + search,
    headers: c.req.raw.headers,
    body,
    caller: callerName(c.get('caller')),
  }
}
