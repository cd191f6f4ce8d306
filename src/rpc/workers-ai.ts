import * as z from 'zod'
import { VergeError } from '../core/errors.ts'
import { isObject } from '../core/objects.ts'
import { validate } from '../core/validation.ts'
import { byteList } from '../protocols/workers-ai/byte-list.ts'
import type { WorkersAiModel } from '../protocols/workers-ai/envelope.ts'
import { failureOf } from './answer.ts'
import { callerOf } from './caller.ts'
import { measureInput, tooLarge } from './measure.ts'
import { type RefusedCall, recordRefused } from './refused-span.ts'
import type { RpcCall, RpcDeps } from './service.ts'
import { failedRun, type RawFailure, rawFailure } from './workers-ai-error.ts'

/** Where the HTTP side answers Workers AI's requests. The account means nothing. */
const AI = 'https://binding.invalid/workers-ai/client/v4/accounts/binding/ai'

/** Characters of a model's name, and of what is searched for: a message of RPC may be 32 MiB, and they become a URL. */
const LONGEST_WORD = 256

const declined = (what: string) => z.literal(false, { error: `is not supported: ${what}` }).optional()
const ignored = z.unknown().optional()

/** Options of `env.AI.run`. Those of AI Gateway and of billing change no answer, and are not looked at. */
const optionsSchema = z.strictObject({
  returnRawResponse: z.boolean().optional(),
  queueRequest: declined('send the requests one by one'),
  websocket: declined('use a request'),
  signal: z.instanceof(AbortSignal, { error: 'an AbortSignal is needed' }).optional(),
  extraHeaders: z.record(z.string(), z.unknown()).optional(),
  gateway: ignored,
  prefix: ignored,
  tags: ignored,
  sessionOptions: ignored,
})
type Options = z.infer<typeof optionsSchema>

type Deps = Pick<RpcDeps, 'ask' | 'callers' | 'credentials' | 'limits' | 'logger' | 'randomId' | 'tracer'>

/** What a run comes to: an answer, or the failure that is thrown at the caller. */
export type RunOutcome = { readonly answer: unknown } | { readonly failure: RawFailure }

/** Workers AI's binding for other Workers: over the REST paths, and so by their order, limits and authorization. */
export class WorkersAiService {
  readonly #deps: Deps

  constructor(deps: Deps) {
    this.#deps = deps
  }

  /** Never throws: a failure is an outcome. */
  async run(call: RpcCall, model: string, inputs: unknown, given: unknown): Promise<RunOutcome> {
    const requestId = this.#deps.randomId()
    const at = this.#deps.tracer?.now()
    try {
      const options = this.#options(given)
      if (typeof model !== 'string' || model.length > LONGEST_WORD || !model.isWellFormed()) {
        throw new VergeError('invalid_request', 'The first argument must be a model name.')
      }
      const request = this.#request(model, inputs, options, requestId)
      const caller = await callerOf(call.props, tokenIn(options), this.#deps, call)
      const response = await this.#deps.ask(request, caller, call)
      if (options.returnRawResponse === true) return { answer: await rawResponse(response) }
      return response.ok ? { answer: await answerOf(response) } : { failure: await failedRun(response) }
    } catch (thrown) {
      return this.#refused(thrown, requestId, call, { name: 'WorkersAi/run', at })
    }
  }

  /** Never throws: a failure is an outcome. */
  async models(
    call: RpcCall,
    params: unknown,
  ): Promise<{ readonly answer: readonly WorkersAiModel[] } | { readonly failure: RawFailure }> {
    const requestId = this.#deps.randomId()
    const at = this.#deps.tracer?.now()
    try {
      const query = new URLSearchParams()
      for (const [name, value] of Object.entries(isObject(params) ? params : {})) {
        if (query.size >= 16 || !['string', 'number', 'boolean'].includes(typeof value)) continue
        if (Math.max(name.length, String(value).length) > LONGEST_WORD) {
          throw new VergeError('invalid_request', `Parameters may have at most ${LONGEST_WORD} characters.`)
        }
        query.set(name, String(value))
      }
      const caller = await callerOf(call.props, undefined, this.#deps, call)
      const response = await this.#deps.ask(new Request(`${AI}/models/search?${query}`), caller, call)
      if (!response.ok) return { failure: await failedRun(response) }
      const { result } = (await response.json()) as { readonly result: readonly WorkersAiModel[] }
      return { answer: result }
    } catch (thrown) {
      return this.#refused(thrown, requestId, call, { name: 'WorkersAi/models', at })
    }
  }

  /** @throws invalid_request */
  #options(given: unknown): Options {
    const { signal, ...plain } = isObject(given) ? given : {}
    const { requestItems: maxContainers, textBodyBytes: maxBytes } = this.#deps.limits
    measureInput(plain, { maxBytes, maxContainers, views: false })
    return validate(optionsSchema, { ...plain, ...(signal !== undefined && { signal }) }, 'The options')
  }

  /** @throws invalid_request, body_too_large, input_too_large */
  #request(model: string, inputs: unknown, { signal }: Options, requestId: string): Request {
    const { body, type } = this.#body(inputs)
    return new Request(`${AI}/run/${encodeURIComponent(model)}`, {
      method: 'POST',
      body,
      headers: { 'content-type': type, 'x-request-id': requestId },
      ...(signal && { signal }),
    })
  }

  #body(inputs: unknown): { readonly body: string | Uint8Array<ArrayBuffer>; readonly type: string } {
    const { jsonContainers: maxContainers, requestBodyBytes: maxBytes } = this.#deps.limits
    const file = fileIn(inputs, maxBytes)
    if (file !== undefined) return { body: file, type: 'application/octet-stream' }
    measureInput(inputs, { maxBytes, maxContainers, views: false })
    return { body: JSON.stringify(inputs) ?? '', type: 'application/json' }
  }

  async #refused(
    thrown: unknown,
    requestId: string,
    call: RpcCall,
    named: Pick<RefusedCall, 'name' | 'at'>,
  ): Promise<{ readonly failure: RawFailure }> {
    const { code, message, status } = failureOf(thrown, requestId)
    await recordRefused(this.#deps.tracer, call, { ...named, code, status })
    const fields = { requestId, code, message }
    if (status < 500) this.#deps.logger.info('rpc_refused', fields)
    else this.#deps.logger.error('rpc_failed', { ...fields, cause: String(thrown) })
    return { failure: rawFailure(thrown, requestId) }
  }
}

/** The operator's key, as a request to the REST paths would carry it. */
function tokenIn({ extraHeaders = {} }: Options): string | undefined {
  const entry = Object.entries(extraHeaders).find(([name]) => name.toLowerCase() === 'authorization')
  const value = entry?.[1]
  return typeof value === 'string' ? value.replace(/^bearer +/i, '') : undefined
}

/**
 * The bytes of a picture that is all there is: a request with so many numbers in JSON would be four times as long.
 * @throws input_too_large, invalid_request, body_too_large
 */
function fileIn(inputs: unknown, maxBytes: number): Uint8Array<ArrayBuffer> | undefined {
  if (!isObject(inputs)) return undefined
  const names = Object.keys(inputs)
  const { image } = inputs
  if (names.length !== 1 || image === undefined) return undefined
  if (Array.isArray(image)) return byteList(image, 'image', maxBytes)
  const bytes =
    image instanceof ArrayBuffer
      ? new Uint8Array(image)
      : image instanceof Uint8Array && image.buffer instanceof ArrayBuffer
        ? new Uint8Array(image.buffer, image.byteOffset, image.byteLength)
        : undefined
  if (bytes !== undefined && bytes.length > maxBytes) throw tooLarge(maxBytes)
  return bytes
}

/** JSON out of its envelope; events and pictures as streams of their bytes, as `env.AI.run` has them. */
async function answerOf(response: Response): Promise<unknown> {
  if (!isJson(response)) return response.body
  const { result } = (await response.json()) as { readonly result: unknown }
  return result
}

/** What `returnRawResponse` gives: the answer without its envelope, with its status. */
async function rawResponse(response: Response): Promise<Response> {
  if (!response.ok) return Response.json(await failedRun(response), { status: response.status })
  return isJson(response) ? Response.json(await answerOf(response)) : response
}

function isJson({ headers }: Response): boolean {
  return headers.get('content-type')?.startsWith('application/json') ?? false
}
