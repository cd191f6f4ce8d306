import type { Context } from 'hono'
import { mediaTypeOf, paceOf, readBody } from '../core/body.ts'
import { VergeError } from '../core/errors.ts'
import { parseJson } from '../core/json.ts'
import { isObject } from '../core/objects.ts'
import { refuseManyItems } from '../core/validation.ts'
import { assertAnswerLength } from '../generate/text-generator.ts'
import { infer } from '../inference/infer.ts'
import type { AdmittedModel } from '../inference/model-runner.ts'
import { readInSlot, type Slot } from '../inference/slot.ts'
import type { ForwardRoute } from '../placement/placement.ts'
import type { ResolvedModel } from '../serving/serving.ts'
import type { AppDeps, AppEnv } from './app-env.ts'
import { accessOf, bodyLimit, checkBatch, ForwardedHttpRequest } from './inference.ts'
import { modelNamed } from './model-names.ts'

/** A path that names the model instead of the body, as Hugging Face's paths do. */
export interface NamedByPath {
  readonly model: string
  /** The same request's path where the body names the model: what an origin is asked. Left out: the request's own. */
  readonly path?: string
  /** The version that the path names. */
  readonly version?: string | undefined
  /** Fields in other words than the protocol's, in the protocol's. @throws invalid_request */
  readonly translate?: (body: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>
}

/** A request in OpenAI's words, for an origin, and how its answer becomes the caller's. */
export interface TranslatedRequest {
  readonly path: string
  readonly body: object
  readonly streamed: boolean
  /** @param response a success, or what the origin found wrong with the request */
  readonly answer: (response: Response) => Promise<Response>
}

/** Says a request in OpenAI's words; undefined where there is nothing for an origin to do. @throws invalid_request */
export type Translation = (body: unknown, model: ResolvedModel) => TranslatedRequest | undefined

export interface ModelInBodyOptions {
  /** Where the path names the model: it is asked for before the body is read, and stands over the body's own. */
  readonly named?: NamedByPath
  /** The model that is meant where the body names none. */
  readonly unnamed?: string | undefined
  /** Absent: origins get the request as it is. */
  readonly translation?: Translation
  /** Whether the body is JSON whatever its media type says, as servers of the protocol have it. */
  readonly anyMediaType?: boolean
}

/** Read as JSON whatever the caller called it; servers behind the edge refuse other names, such as that of `curl -d`. */
const JSON_TYPE = 'application/json'

/**
 * An inference whose body names the model. Its body is read before the model is looked for, and nothing of it but the
 * name is looked at before the caller is known to have access: a caller who is refused learns nothing of the model.
 */
export async function withModelInBody(
  deps: AppDeps,
  c: Context<AppEnv>,
  route: ForwardRoute,
  work: (admitted: AdmittedModel, body: unknown, slot: Slot) => Promise<Response>,
  { anyMediaType = false, named, translation, unnamed }: ModelInBodyOptions = {},
): Promise<Response> {
  const type = mediaTypeOf(c.req.header('content-type'))
  if (!anyMediaType && type !== JSON_TYPE && type !== '' && type !== 'application/x-www-form-urlencoded') {
    throw new VergeError(
      'unsupported_media_type',
      `The body was sent as "${type.slice(0, 100)}". Send JSON with "Content-Type: application/json".`,
    )
  }
  let sent = new Uint8Array()
  let body: unknown
  return infer<Response>(deps, accessOf(deps, c), {
    ...(named && { name: modelNamed(named.model, deps.config.modelNames) }),
    version: named?.version ?? c.req.query('version'),
    route,
    read: async (slot) => {
      sent = await readBodyInSlot(deps, c, slot)
      body = withModel(parseJson(sent, deps.limits), named)
      return modelNamed(named?.model ?? modelOf(body, unnamed), deps.config.modelNames)
    },
    forwarding: (model) => {
      const { manifest } = model
      checkBatch(c, body)
      const most = c.get('context').ledger?.bounds?.maxTokens
      if (most !== undefined) assertAnswerLength(tokensAsked(body), most)
      if (translation === undefined) {
        const streamed = isStreamed(body)
        const asked = named?.model ?? modelOf(body, unnamed)
        const own = inBody(sent, body, named, askedName(body) === manifest.model ? undefined : manifest.model)
        const inPath = named !== undefined && named.path === undefined
        return new ForwardedHttpRequest(deps, c, {
          manifest,
          route,
          streamed,
          asked,
          inPath,
          contentType: JSON_TYPE,
          ...own,
        })
      }
      const translated = deps.placement === undefined ? undefined : translation(body, model)
      if (translated === undefined) return undefined
      const { answer: translate, body: said, path, streamed } = translated
      return new ForwardedHttpRequest(deps, c, {
        manifest,
        route,
        bytes: jsonBytes(said),
        contentType: JSON_TYPE,
        path,
        streamed,
        translate,
      })
    },
    work: async (admitted, slot) => {
      refuseManyItems(body, deps.limits.requestItems)
      return work(admitted, body, slot)
    },
  })
}

function readBodyInSlot(deps: AppDeps, c: Context<AppEnv>, slot: Slot): Promise<Uint8Array<ArrayBuffer>> {
  const { requestId, signal } = c.get('context')
  const bounds = { maxBytes: bodyLimit(c, deps.limits.textBodyBytes), signal, pace: paceOf(deps) }
  return readInSlot(deps, requestId, slot, ({ hold, reading }) => readBody(c.req.raw, { ...bounds, hold, reading }))
}

/** Tokens that a request in OpenAI's words asks for. What is wrong with them is said where it is read. */
function tokensAsked(body: unknown): number | undefined {
  if (!isObject(body)) return undefined
  const asked = body.max_completion_tokens ?? body.max_tokens
  return typeof asked === 'number' ? asked : undefined
}

function isStreamed(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'stream' in body && body.stream === true
}

function withModel(body: unknown, named: NamedByPath | undefined): unknown {
  if (named === undefined || typeof body !== 'object' || body === null || Array.isArray(body)) return body
  return { ...(named.translate?.({ ...body }) ?? body), model: named.model }
}

/**
 * The request as it is where the body names the model: an origin may know no other path.
 * @param model the model's own name, where the caller has another one for it
 */
function inBody(
  sent: Uint8Array<ArrayBuffer>,
  body: unknown,
  named: NamedByPath | undefined,
  model: string | undefined,
) {
  if (named === undefined && model === undefined) return { bytes: sent }
  const said = model === undefined || !isObject(body) ? body : { ...body, model }
  return { bytes: jsonBytes(said), ...(named?.path !== undefined && { path: named.path }) }
}

function jsonBytes(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value)).slice()
}

/** The model by the name that a body has for it: answers repeat it. */
export function askedName(body: unknown): string {
  const model = modelIn(body)
  return typeof model === 'string' ? model : ''
}

function modelIn(body: unknown): unknown {
  return typeof body === 'object' && body !== null && 'model' in body ? body.model : undefined
}

function modelOf(body: unknown, unnamed: string | undefined): string {
  const model = modelIn(body)
  if (typeof model === 'string' && model !== '') return model
  if (unnamed !== undefined && (model === undefined || model === null)) return unnamed
  throw new VergeError(
    'invalid_request',
    'The request, field "model": a model\'s name is needed. GET /v1/models lists those that there are.',
    { details: { field: 'model' } },
  )
}
