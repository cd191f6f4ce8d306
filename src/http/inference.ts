import type { Context } from 'hono'
import { callerName } from '../access/authorize.ts'
import type { Manifest } from '../catalog/manifest.ts'
import { declaredLength, paceOf, readBody } from '../core/body.ts'
import type { VergeError } from '../core/errors.ts'
import { PLACEMENT_HEADER } from '../core/headers.ts'
import type { Access } from '../inference/access.ts'
import type { Forwarding } from '../inference/forwarding.ts'
import { infer } from '../inference/infer.ts'
import { assertBatch, bodyOverPlan, type RequestFacts } from '../inference/metered.ts'
import type { AdmittedModel } from '../inference/model-runner.ts'
import type { Slot } from '../inference/slot.ts'
import type { ForwardedAnswer, ForwardedRequest, ForwardRoute } from '../placement/placement.ts'
import { inputsIn } from '../protocols/batch.ts'
import type { Ticket } from '../serving/admission.ts'
import { mostBodyBytes } from '../serving/ledger.ts'
import type { RunResult } from '../serving/serving.ts'
import { pathWithModel, prefixed } from './address-of.ts'
import type { AppDeps, AppEnv } from './app-env.ts'
import { modelNamed } from './model-names.ts'

export interface InferenceRequest {
  readonly name: string
  readonly version: string | undefined
  readonly route: ForwardRoute
}

/** An inference whose path names the model: its body is read by `work`, after everything else. */
export function withAdmittedModel(
  deps: AppDeps,
  c: Context<AppEnv>,
  request: InferenceRequest,
  work: (admitted: AdmittedModel, slot: Slot) => Promise<Response>,
): Promise<Response> {
  const { route } = request
  return infer<Response>(deps, accessOf(deps, c), {
    ...request,
    name: modelNamed(request.name, deps.config.modelNames),
    forwarding: ({ manifest }) => {
      // Nobody but Verge counts the inputs of tensors by the caller's plan: they are read here then.
      if (route === 'oip' && c.get('context').ledger?.bounds?.batch !== undefined) return undefined
      return new ForwardedHttpRequest(deps, c, { route, manifest, asked: request.name })
    },
    work,
  })
}

export function accessOf(deps: AppDeps, c: Context<AppEnv>): Access {
  const access = {
    serving: deps.serving,
    caller: c.get('caller'),
    context: c.get('context'),
    // Requests whose caller is known come by a binding.
    ...(deps.knownCaller && { via: 'rpc' }),
  }
  return deps.metering === undefined ? access : { ...access, facts: factsOf(c) }
}

function factsOf(c: Context<AppEnv>): RequestFacts {
  const address = c.req.header('cf-connecting-ip')
  const clientOrigin = c.req.header('origin')
  const bodyBytes = declaredLength(c.req.header('content-length'))
  return {
    ...(address !== undefined && { address }),
    ...(clientOrigin !== undefined && { clientOrigin }),
    ...(bodyBytes !== undefined && { bodyBytes }),
  }
}

/** Most bytes of a request's body: the server's limit, or that of the caller's plan. */
export function bodyLimit(c: Context<AppEnv>, most: number): number {
  return mostBodyBytes(c.get('context').ledger?.bounds, most)
}

/** @throws input_too_large for a body with more inputs than the caller's plan allows */
export function checkBatch(c: Context<AppEnv>, body: unknown): void {
  const bounds = c.get('context').ledger?.bounds
  if (bounds?.batch !== undefined) assertBatch(bounds, inputsIn(body))
}

export interface HttpForwardOptions {
  readonly manifest: Pick<Manifest, 'model' | 'task'>
  /** The model by the name that the caller has for it. */
  readonly asked?: string
  /** Whether the request's path names the model. Left out: if its body was not read. */
  readonly inPath?: boolean
  readonly route: ForwardRoute
  /** The body, where it has been read already. */
  readonly bytes?: Uint8Array<ArrayBuffer>
  /** The path to ask an origin for, with no query, where it is not the request's own. */
  readonly path?: string
  /** What the bytes are, where they are not what the request says of its own. */
  readonly contentType?: string
  /** A text is wanted as a stream. */
  readonly streamed?: boolean
  /** Makes the caller's answer of the origin's, where the origin was asked in other words. */
  readonly translate?: (response: Response) => Promise<Response>
}

/** An HTTP request on its way to an origin, and the origin's answer on its way back. */
export class ForwardedHttpRequest implements Forwarding<Response> {
  readonly replayable: boolean
  readonly #deps: AppDeps
  readonly #c: Context<AppEnv>
  readonly #options: HttpForwardOptions
  readonly #raw: Request
  #body: ForwardedRequest['body']
  #overPlan: VergeError | undefined

  constructor(deps: AppDeps, c: Context<AppEnv>, options: HttpForwardOptions) {
    this.#deps = deps
    this.#c = c
    this.#options = options
    this.#raw = c.req.raw
    this.#body = options.bytes ?? null
    this.replayable = options.bytes !== undefined
  }

  async request(ticket: Ticket): Promise<ForwardedRequest> {
    const { asked, bytes, contentType, manifest, path, route, streamed = false } = this.#options
    if (bytes !== undefined) ticket.hold(bytes.length)
    else this.#body = await this.#read(ticket)
    const { pathname, search } = new URL(this.#c.req.url)
    const headers = new Headers(this.#c.req.raw.headers)
    if (contentType !== undefined) headers.set('content-type', contentType)
    return {
      route,
      method: 'POST',
      path: (path ?? this.#path(pathname)) + search,
      headers,
      body: this.#body,
      caller: callerName(this.#c.get('caller')),
      asked: asked === manifest.model ? undefined : asked,
      wholeText: manifest.task === 'text-generation' && route !== 'oip' && !streamed,
    }
  }

  /** What was streamed to an origin is gone; what was read whole can be read once more. */
  recover(): boolean {
    const raw = this.#raw
    if (this.#options.bytes !== undefined) return true
    if (this.#body instanceof Uint8Array) {
      const { headers, method, signal, url } = raw
      this.#c.req.raw = new Request(url, { method, headers, body: this.#body, signal })
      return true
    }
    return raw.body?.locked !== true
  }

  /** @throws body_too_large where the body was longer than the caller's plan allows: workerd ends such a body as if it were whole */
  async answer(answered: ForwardedAnswer): Promise<Response> {
    const { translate } = this.#options
    if (this.#overPlan !== undefined) {
      await answered.response.body?.cancel()
      throw this.#overPlan
    }
    const marked = withForwardHeaders(answered)
    if (translate === undefined) return marked
    const { headers } = marked
    const response = await translate(marked)
    for (const name of [PLACEMENT_HEADER, 'server-timing']) {
      const value = headers.get(name)
      if (value !== null) response.headers.set(name, value)
    }
    return response
  }

  /** The request's own, as an origin has it: behind the prefix of its protocol if Verge alone has it, and with the model's own name. */
  #path(pathname: string): string {
    const { asked, bytes, inPath = bytes === undefined, manifest, route } = this.#options
    const path = route === 'own' ? prefixed(pathname, this.#deps.config) : withoutPrefix(pathname, route)
    if (asked === undefined || asked === manifest.model || !inPath) return path
    return pathWithModel(path, manifest.model, this.#deps.config)
  }

  /** A body of known, small size whole, so that it can be signed and sent again; another one as it comes. */
  async #read(ticket: Ticket): Promise<ForwardedRequest['body']> {
    const { limits } = this.#deps
    const raw = this.#raw
    const declared = declaredLength(raw.headers.get('content-length'))
    if (raw.body === null) return null
    if (declared === undefined || declared > limits.replayableBodyBytes) {
      const most = bodyLimit(this.#c, Number.POSITIVE_INFINITY)
      if (declared !== undefined || !Number.isFinite(most)) return raw.body
      return bounded(raw.body, most, () => {
        this.#overPlan = bodyOverPlan(most)
        return this.#overPlan
      })
    }
    const { signal } = this.#c.get('context')
    return readBody(raw, {
      maxBytes: limits.replayableBodyBytes,
      signal,
      hold: ticket.hold,
      reading: ticket.reading,
      pace: paceOf(this.#deps),
    })
  }
}

/** A body of no declared length on its way to an origin, within what the caller's plan allows. */
function bounded(body: ReadableStream<Uint8Array>, most: number, over: () => VergeError): ReadableStream<Uint8Array> {
  let bytes = 0
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, controller) {
        bytes += piece.length
        if (bytes > most) controller.error(over())
        else controller.enqueue(piece)
      },
    }),
  )
}

/** Addresses of servers of OpenAI's kind, which know no prefixes. */
const AT_ROOT: Readonly<Partial<Record<ForwardRoute, RegExp>>> = {
  openai: /\/v1\/(?:chat\/completions|completions|embeddings)$/,
  rerank: /(?:\/v1)?\/rerank$/,
}

function withoutPrefix(path: string, route: ForwardRoute): string {
  return AT_ROOT[route]?.exec(path)?.[0] ?? path
}

export type RunPlacement = Pick<RunResult, 'artifact' | 'start' | 'place' | 'origin' | 'reason' | 'degraded'> &
  Partial<Pick<RunResult, 'timings'>>

/**
 * Says where an answer was computed and how long its parts took.
 *
 * `verge-placement` has the place, with the origin's name where it is one, the artifact, whether its weights were in
 * memory, why this place, and `degraded` where the answer is a lesser one than the model's own.
 *
 * `Server-Timing` is as honest as the clock: in production the isolate's clock stands still during pure computation and
 * advances at I/O only, so a run measures 0 ms there. A part that measured nothing is left out rather than reported as
 * free; what a run really cost is in the Worker's CPU time, outside.
 */
export function setPlacementHeaders(headers: Headers, run: RunPlacement): void {
  headers.set(PLACEMENT_HEADER, placementHeader(run))
  if (run.timings === undefined) return
  const { timings } = run
  const parts = [
    ['load', timings.loadMs],
    ['queue', timings.queueMs],
    ['run', timings.runMs],
  ] as const
  const measured = parts.filter(([, ms]) => ms > 0).map(([name, ms]) => `${name};dur=${Math.round(ms * 100) / 100}`)
  if (measured.length > 0) headers.set('server-timing', measured.join(', '))
}

/** Marks an answer with where it was computed, if anything was run for it. */
export function withPlacementHeaders(
  response: Response,
  { lastRun }: { readonly lastRun: RunPlacement | undefined },
): Response {
  if (lastRun !== undefined) setPlacementHeaders(response.headers, lastRun)
  return response
}

/** What an origin of our own says of the artifact and its start is passed on; nothing else of it is. */
const PARTS = /;(artifact="[\x20-\x21\x23-\x5b\x5d-\x7e]{1,64}"|start=(?:warm|cold|cached))(?=;|$)/g

/** Marks an origin's answer with where it was computed. */
export function withForwardHeaders({ attempts, origin, reason, response }: ForwardedAnswer): Response {
  const { headers } = response
  const parts = [...(headers.get(PLACEMENT_HEADER) ?? '').matchAll(PARTS)].map(([, part]) => part)
  const tries = attempts > 1 ? [`attempts=${attempts}`] : []
  const value = ['origin', `origin=${sfString(origin)}`, ...parts, `reason=${reason}`, ...tries]
  headers.set(PLACEMENT_HEADER, value.join(';'))
  return response
}

function placementHeader({ artifact, degraded, origin, place, reason, start }: RunPlacement): string {
  return [
    place ?? 'edge',
    ...(origin === undefined ? [] : [`origin=${sfString(origin)}`]),
    ...(artifact === undefined ? [] : [`artifact=${sfString(artifact.id)}`]),
    `start=${start}`,
    `reason=${start === 'cached' ? 'result-cache' : (reason ?? 'only-place')}`,
    ...(degraded === true ? ['degraded'] : []),
  ].join(';')
}

/** A structured-field string holds printable ASCII only. */
function sfString(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`
}
