import type { Context } from 'hono'
import { VergeError } from '../core/errors.ts'
import { mediaTypeOf } from '../core/media-types.ts'
import { refuseManyItems } from '../core/validation.ts'
import { readInSlot } from '../inference/forwarding.ts'
import { type AdmittedModel, infer } from '../inference/infer.ts'
import type { Slot } from '../inference/slot.ts'
import type { ForwardRoute } from '../placement/placement.ts'
import type { AppDeps, AppEnv } from './app-env.ts'
import { paceOf, parseJson, readBody } from './body.ts'
import { ForwardedHttpRequest } from './forwarding.ts'
import { accessOf } from './inference.ts'

/** A path that names the model instead of the body, as Hugging Face's paths do. */
export interface NamedByPath {
  readonly model: string
  /** The same request's path where the body names the model: what an origin is asked. */
  readonly path: string
  /** Fields in other words than the protocol's, in the protocol's. @throws invalid_request */
  readonly translate?: (body: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>
}

/**
 * An inference whose body names the model. Its body is read before the model is looked for, and nothing of it but the
 * name is looked at before the caller is known to have access: a caller who is refused learns nothing of the model.
 * @param named where the path names the model: it is asked for before the body is read, and stands over the body's own
 */
export async function withModelInBody(
  deps: AppDeps,
  c: Context<AppEnv>,
  route: ForwardRoute,
  work: (admitted: AdmittedModel, body: unknown, slot: Slot) => Promise<Response>,
  named?: NamedByPath,
): Promise<Response> {
  const type = mediaTypeOf(c.req.header('content-type'))
  if (type !== 'application/json' && type !== '' && type !== 'application/x-www-form-urlencoded') {
    throw new VergeError(
      'unsupported_media_type',
      `The body was sent as "${type.slice(0, 100)}". Only JSON is taken here: say so with "Content-Type: application/json".`,
    )
  }
  let sent = new Uint8Array()
  let body: unknown
  return infer<Response>(deps, accessOf(deps, c), {
    ...(named && { name: named.model }),
    version: c.req.query('version'),
    route,
    read: async (slot) => {
      sent = await readBodyInSlot(deps, c, slot)
      body = withModel(parseJson(sent), named)
      return named?.model ?? modelOf(body)
    },
    forwarding: ({ manifest }) =>
      new ForwardedHttpRequest(deps, c, { manifest, route, streamed: isStreamed(body), ...inBody(sent, body, named) }),
    work: async (admitted, slot) => {
      refuseManyItems(body, deps.limits.requestItems)
      return work(admitted, body, slot)
    },
  })
}

function readBodyInSlot(deps: AppDeps, c: Context<AppEnv>, slot: Slot): Promise<Uint8Array<ArrayBuffer>> {
  const { requestId, signal } = c.get('context')
  const bounds = { maxBytes: deps.limits.textBodyBytes, signal, pace: paceOf(deps) }
  return readInSlot(deps, requestId, slot, ({ hold, reading }) => readBody(c.req.raw, { ...bounds, hold, reading }))
}

function isStreamed(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'stream' in body && body.stream === true
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
