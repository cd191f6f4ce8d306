import type { CallContext } from '../../core/runtime.ts'
import type { Tensors } from '../../core/tensors.ts'
import type { ResolvedModel } from '../../serving/serving.ts'
import { type Origin, type OriginRequest, upstreamName } from '../origin.ts'
import type { Forwarded } from '../placement.ts'
import { type ExchangeDeps, exchange } from './exchange.ts'
import { originHeaders } from './headers.ts'
import { exchangeOip, inferRemote } from './oip.ts'
import { exchangeOpenAi } from './openai.ts'

/**
 * Has an origin answer a request as it is, in the words that it speaks. One of our own runs the version that was chosen
 * here, so that a canary is one wherever it is computed; others have versions of their own.
 * @throws what `exchange` throws
 */
export function sendOn(
  origin: Origin,
  { manifest }: ResolvedModel,
  { body, caller, headers, method, path }: Forwarded,
  context: CallContext,
  deps: ExchangeDeps,
): Promise<Response> {
  const request: OriginRequest = {
    method,
    path: origin.kind === 'verge' ? withVersion(path, manifest.model, manifest.version) : path,
    headers: originHeaders(headers, remaining(context, deps)),
    body,
    requestId: context.requestId,
    caller,
    signal: context.signal,
  }
  const names = { ours: manifest.model, theirs: upstreamName(origin, manifest.model) ?? manifest.model }
  switch (origin.kind) {
    case 'verge':
      return exchange(origin, request, deps)
    case 'oip':
      return exchangeOip(origin, request, { ...names, version: manifest.version }, deps)
    case 'openai':
      return exchangeOpenAi(origin, request, names, deps)
  }
}

/** Has an origin run a model on tensors. @throws what `inferRemote` throws */
export function runRemotely(
  origin: Origin,
  { manifest }: ResolvedModel,
  inputs: Tensors,
  outputs: readonly string[] | undefined,
  context: CallContext,
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
  return inferRemote(origin, theirs, version, manifest, inputs, outputs, call, deps)
}

function remaining({ deadline }: CallContext, { clock }: ExchangeDeps): number | undefined {
  return deadline === undefined ? undefined : Math.max(1, deadline - clock.now())
}

/** A path with the version in it: in its place by the Open Inference Protocol, else as `?version=`. */
function withVersion(path: string, model: string, version: string): string {
  const url = new URL(`http://origin${path}`)
  const infer = `/v2/models/${model}/infer`
  if (url.pathname === infer) url.pathname = `/v2/models/${model}/versions/${version}/infer`
  else if (!url.pathname.startsWith('/v2/')) url.searchParams.set('version', version)
  return url.pathname + url.search
}
