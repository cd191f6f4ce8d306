import { VergeError } from '../../core/errors.ts'
import { BOUNDS_HEADER } from '../../core/headers.ts'
import { isObject } from '../../core/objects.ts'
import type { Tensors } from '../../core/tensors.ts'
import { FieldRenamer, type Names, renamed, renamedEvents } from '../../protocols/field-renamer.ts'
import type { RequestBounds } from '../../serving/ledger.ts'
import type { ResolvedModel } from '../../serving/serving.ts'
import { type Origin, type OriginKind, type OriginRequest, upstreamName } from '../origin.ts'
import { writeBounds } from '../origin-usage.ts'
import type { ForwardedRequest, ForwardRoute, PlacementContext } from '../placement.ts'
import type { Rewriting } from './answer.ts'
import { type ExchangeDeps, exchange, originHeaders } from './exchange.ts'
import { exchangeOip, inferRemote } from './oip.ts'

/**
 * Has an origin answer a request as it is, in the words that it speaks. One of our own runs the version that was chosen
 * here, so that a canary is one wherever it is computed; others have versions of their own.
 * @throws what `exchange` throws
 */
export function sendOn(
  origin: Origin,
  { manifest }: ResolvedModel,
  { asked: named, body, caller, headers, method, path, route, wholeText = false }: ForwardedRequest,
  context: PlacementContext,
  deps: ExchangeDeps,
): Promise<Response> {
  const { bounds } = context.ledger ?? {}
  const request: OriginRequest = {
    method,
    path: pathFor(origin.kind, path, route, manifest),
    headers: withBounds(originHeaders(headers, remaining(context, deps)), origin.kind, bounds),
    body,
    requestId: context.requestId,
    caller,
    signal: context.signal,
  }
  // Writing may take as long as the caller waits, which is the limit then.
  const { totalMs } = origin.timeouts
  const asked = wholeText ? { ...origin, timeouts: { ...origin.timeouts, headersMs: totalMs } } : origin
  const names = { ours: named ?? manifest.model, theirs: upstreamName(origin, manifest.model) ?? manifest.model }
  switch (origin.kind) {
    case 'verge':
      return exchange(
        asked,
        request,
        deps,
        named === undefined ? undefined : renaming(route === 'oip' ? 'model_name' : 'model', named),
      )
    case 'oip':
      return exchangeOip(origin, request, { ...names, version: manifest.version }, deps)
    case 'openai':
      return exchangeOpenAi(asked, withMostTokens(request, bounds?.maxTokens), names, deps)
  }
}

/** Says to an origin of Verge's own what the caller's plan allows. */
function withBounds(headers: Headers, kind: OriginKind, bounds: RequestBounds | undefined): Headers {
  const value = kind === 'verge' && bounds !== undefined ? writeBounds(bounds) : undefined
  if (value !== undefined) headers.set(BOUNDS_HEADER, value)
  return headers
}

const WRITES = /\/v1\/(?:chat\/)?completions$/

/** A request for a text that says nothing of its length, with the length that the caller's plan allows. */
function withMostTokens(request: OriginRequest, most: number | undefined): OriginRequest {
  const { body, path } = request
  if (most === undefined || !(body instanceof Uint8Array) || !WRITES.test(path)) return request
  const fields: unknown = JSON.parse(new TextDecoder().decode(body))
  if (!isObject(fields) || fields.max_tokens != null || fields.max_completion_tokens != null) return request
  return { ...request, body: new TextEncoder().encode(JSON.stringify({ ...fields, max_tokens: most })).slice() }
}

/** Has an origin run a model on tensors. @throws what `inferRemote` throws */
export function runRemotely(
  origin: Origin,
  { manifest }: ResolvedModel,
  inputs: Tensors,
  outputs: readonly string[] | undefined,
  context: PlacementContext,
  deps: ExchangeDeps,
): Promise<Tensors> {
  const theirs = upstreamName(origin, manifest.model) ?? manifest.model
  const version = origin.kind === 'verge' ? manifest.version : undefined
  const call = {
    requestId: context.requestId,
    caller: context.cache?.scope ?? '',
    signal: context.signal,
    remainingMs: remaining(context, deps),
  }
  return inferRemote(origin, { model: theirs, version, manifest, inputs, outputs }, call, deps)
}

function remaining({ deadline }: PlacementContext, { clock }: ExchangeDeps): number | undefined {
  return deadline === undefined ? undefined : Math.max(1, deadline - clock.now())
}

/**
 * For one of our own, a path with the version in it: in its place by the Open Inference Protocol, else as `?version=`. A
 * query is ours, and nobody else's: another server may take it for an order of the operator's.
 */
function pathFor(
  kind: OriginKind,
  path: string,
  route: ForwardRoute,
  { model, version }: ResolvedModel['manifest'],
): string {
  const url = new URL(`http://origin${path}`)
  if (kind !== 'verge') return url.pathname
  // Made anew: the name in it may be written in other ways.
  if (route === 'oip') url.pathname = `/v2/models/${model}/versions/${version}/infer`
  else url.searchParams.set('version', version)
  return url.pathname + url.search
}

/**
 * Has a server of OpenAI's kind (vLLM, text-embeddings-inference) answer under our name for the model: the request's
 * `model` becomes the origin's name for it, and the answer's, in JSON and in each event, becomes ours. For
 * `/v1/chat/completions`, `/v1/completions`, `/v1/embeddings` and `/rerank`.
 * @param request its body read whole; it has been seen to be JSON with a `model`
 * @throws what `exchange` throws
 */
export function exchangeOpenAi(
  origin: Origin,
  request: OriginRequest,
  { ours, theirs }: Names,
  deps: ExchangeDeps,
): Promise<Response> {
  const { body } = request
  if (body instanceof ReadableStream) {
    throw new VergeError('internal', 'A body that names its model must be read before it is sent on.')
  }
  // Also where both names are the same: a body may name its model twice, and the origin take the one that was not seen.
  const headers = new Headers(request.headers)
  headers.set('content-type', 'application/json')
  const named = { ...request, headers, body: body === null ? null : renamed(body, 'model', theirs) }
  return exchange(origin, named, deps, ours === theirs ? undefined : renaming('model', ours))
}

function renaming(field: string, ours: string): Rewriting {
  return {
    json() {
      const renamer = new FieldRenamer(field, ours)
      return (piece) => renamer.push(piece)
    },
    events: (events) => renamedEvents(events, field, ours),
  }
}
