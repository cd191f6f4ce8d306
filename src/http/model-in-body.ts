import type { Context } from 'hono'
import { VergeError } from '../core/errors.ts'
import { refuseManyItems } from '../core/validation.ts'
import { isEdgeFailure } from '../placement/failures.ts'
import type { ForwardRoute } from '../placement/placement.ts'
import type { ResolvedModel } from '../serving/serving.ts'
import type { AppDeps, AppEnv } from './app-env.ts'
import { mediaType, paceOf, parseJson, readBody } from './body.ts'
import { forwarded } from './forwarding.ts'
import { accessOf } from './inference.ts'
import { resolveVersion, visibleModel } from './model-access.ts'
import { Place } from './place.ts'

/** A path that names the model instead of the body, as Hugging Face's paths do. */
export interface NamedByPath {
  readonly model: string
  /** The same request's path where the body names the model: what an origin is asked. */
  readonly path: string
  /** Fields in other words than the protocol's, in the protocol's. @throws invalid_request */
  readonly translate?: (body: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>
}

/**
 * The order for protocols that name the model in the body: take a place, read the body within bounds, and ask whether the
 * caller may run the model before anything else of the body is looked at. So a caller who is refused learns nothing of
 * the model, and has held no more than a place and a body.
 * @param named where the path names the model: it is asked for before the body is read, and stands over the body's own
 */
export async function withModelInBody(
  deps: AppDeps,
  c: Context<AppEnv>,
  route: ForwardRoute,
  work: (model: ResolvedModel, body: unknown, place: Place) => Promise<Response>,
  named?: NamedByPath,
): Promise<Response> {
  const access = accessOf(deps, c)
  const { requestId } = access.context
  const type = mediaType(c.req.header('content-type'))
  if (type !== 'application/json' && type !== '' && type !== 'application/x-www-form-urlencoded') {
    throw new VergeError(
      'unsupported_media_type',
      `The body was sent as "${type.slice(0, 100)}". Only JSON is taken here: say so with "Content-Type: application/json".`,
    )
  }
  const known = named && (await visibleModel(access, named.model))
  const place = new Place(deps.admission, requestId)
  return place.during(async () => {
    const sent = await readPlaced(deps, c, place)
    const body = withModel(parseJson(sent), named)
    const alias = known ?? (await visibleModel(access, modelOf(body)))
    const model = await resolveVersion(access, alias, c.req.query('version'))
    const streamed = typeof body === 'object' && body !== null && 'stream' in body && body.stream === true
    const question = { model, route, place, streamed, ...inBody(sent, body, named) }
    const answer = await forwarded(deps, c, question)
    if (answer !== undefined) return answer
    place.take()
    refuseManyItems(body, deps.limits.requestItems)
    try {
      return await work(model, body, place)
    } catch (error) {
      if (!isEdgeFailure(error)) throw error
      const instead = await forwarded(deps, c, { ...question, failed: true })
      if (instead === undefined) throw error
      return instead
    }
  })
}

/**
 * The body, read in one of the places here; where all are taken, in one of those for requests that are passed on, because
 * only the body says whether this is such a request.
 */
async function readPlaced(deps: AppDeps, c: Context<AppEnv>, place: Place): Promise<Uint8Array<ArrayBuffer>> {
  const { requestId, signal } = c.get('context')
  const maxBytes = deps.limits.textBodyBytes
  if (deps.placement === undefined) place.take()
  else place.takeIfFree()
  const bounds = { maxBytes, signal, pace: paceOf(deps) }
  if (place.held) return readBody(c.req.raw, { ...bounds, hold: place.hold, reading: place.reading })
  const passing = deps.placement?.admission.enter(requestId)
  const hold = (bytes: number): void => {
    passing?.hold(bytes)
    // For the case that a place becomes free until it is answered here after all.
    place.hold(bytes)
  }
  try {
    return await readBody(c.req.raw, { ...bounds, hold, ...(passing && { reading: passing.reading }) })
  } finally {
    passing?.leave()
  }
}

function withModel(body: unknown, named: NamedByPath | undefined): unknown {
  if (named === undefined || typeof body !== 'object' || body === null || Array.isArray(body)) return body
  return { ...(named.translate?.({ ...body }) ?? body), model: named.model }
}

/** The request as it is where the body names the model: an origin may know no other path. */
function inBody(sent: Uint8Array<ArrayBuffer>, body: unknown, named: NamedByPath | undefined) {
  if (named === undefined) return { bytes: sent }
  return { bytes: new TextEncoder().encode(JSON.stringify(body)).slice(), path: named.path }
}

function modelOf(body: unknown): string {
  const model = typeof body === 'object' && body !== null && 'model' in body ? body.model : undefined
  if (typeof model === 'string' && model !== '') return model
  throw new VergeError(
    'invalid_request',
    'The request, field "model": a model\'s name is needed. GET /v1/models lists those that there are.',
    { details: { field: 'model' } },
  )
}
