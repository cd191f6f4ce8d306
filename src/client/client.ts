import { credentialsOf } from './credentials.ts'
import { isJson, unexpected, VergeError } from './error.ts'
import { type ClientClock, type FetchLike, systemClock, systemFetch, systemRandom } from './runtime.ts'
import { type Inferred, JSON_LENGTH_HEADER, readTensors, writeTensors } from './tensors.ts'
import { type GeneratedText, generatedText } from './text.ts'
import {
  ask,
  type Body,
  type CallOptions,
  json,
  jsonRequest,
  type OutgoingRequest,
  type Transport,
} from './transport.ts'
import type {
  ChatMessage,
  DetectedObject,
  DetectedSpeech,
  EmbeddingParameters,
  GenerationParameters,
  Label,
  ListedModel,
  RankedDocument,
  RerankParameters,
  TensorInput,
} from './wire.ts'

export interface ClientOptions {
  /** Address of the Worker, such as `https://verge.example.workers.dev`; a path in it stands before every route. */
  readonly url: string | URL
  /** A key. Never put one into a page: public models need none, and pages have tokens. */
  readonly key?: string | undefined
  /**
   * In place of a key: a token for this page, or a function that resolves with one. The function is called again shortly before
   * the token ends, and once for a request that is answered 401. No token is stored.
   */
  readonly token?: string | (() => Promise<string>) | undefined
  /** In place of the runtime's own. With a service binding: `(url, init) => env.VERGE.fetch(url, init)`. */
  readonly fetch?: FetchLike | undefined
  /** Milliseconds for a call with all its attempts; in a stream for each part. Default: 60,000. `Infinity`: no limit. */
  readonly timeoutMs?: number | undefined
  /** Attempts after the first. Default: 2. */
  readonly retries?: number | undefined
  /** For tests. */
  readonly clock?: ClientClock | undefined
  /** For tests: uniform in [0, 1). */
  readonly random?: (() => number) | undefined
}

/** What JSON can hold. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json | undefined }

/** A picture, a sound, a file, a table or a text as bytes. */
export type Media = Blob | ArrayBuffer | Uint8Array | ReadableStream<Uint8Array>

/** What `POST /run/{model}` takes: bytes, or the value of `inputs`. */
export type RunInput = Media | Json

export interface RunOptions extends CallOptions {
  /** The task's parameters, such as `top_k`. */
  readonly parameters?: Readonly<Record<string, Json | undefined>> | undefined
  /** Media type of bytes. Default: the type of a `Blob`; otherwise the server looks at the bytes. */
  readonly contentType?: string | undefined
}

/** Options with parameters of a protocol, in its own words. */
export interface WithParameters<Parameters> extends CallOptions {
  readonly parameters?: Parameters | undefined
}

export interface InferOptions extends CallOptions {
  /** Names of the outputs to answer. Default: all. */
  readonly outputs?: readonly string[] | undefined
}

/** All methods reject with a `VergeError`. */
export interface VergeClient {
  /** Models that the caller may see. */
  models(options?: CallOptions): Promise<readonly ListedModel[]>
  /** Runs a model's task. Answers its JSON, or a `Blob` where the task makes a picture. */
  run<Answer = unknown>(model: string, input: RunInput, options?: RunOptions): Promise<Answer>
  /** Labels with scores, best first. */
  classify(model: string, inputs: readonly string[], options?: RunOptions): Promise<readonly (readonly Label[])[]>
  classify(model: string, input: RunInput, options?: RunOptions): Promise<readonly Label[]>
  /** Objects in a picture. */
  detect(model: string, picture: Media, options?: RunOptions): Promise<readonly DetectedObject[]>
  /** Where somebody speaks in a sound. */
  detectSpeech(model: string, sound: Media, options?: RunOptions): Promise<DetectedSpeech>
  /** The vectors of texts. */
  embed(
    model: string,
    texts: readonly string[],
    options?: WithParameters<EmbeddingParameters>,
  ): Promise<readonly Float32Array[]>
  embed(model: string, text: string, options?: WithParameters<EmbeddingParameters>): Promise<Float32Array>
  /** Documents in the order of their relevance to a query. */
  rerank(
    model: string,
    query: string,
    documents: readonly string[],
    options?: WithParameters<RerankParameters>,
  ): Promise<readonly RankedDocument[]>
  /** The answer to messages, or to one of the user's: `for await` yields its parts, `answer()` the whole of it. */
  chat(
    model: string,
    messages: string | readonly ChatMessage[],
    options?: WithParameters<GenerationParameters>,
  ): GeneratedText
  /** The continuation of a text, or of several. */
  complete(
    model: string,
    prompt: string | readonly string[],
    options?: WithParameters<GenerationParameters>,
  ): GeneratedText
  /** Runs a model on tensors by name. */
  infer(model: string, inputs: Readonly<Record<string, TensorInput>>, options?: InferOptions): Promise<Inferred>
}

const TIMEOUT_MS = 60_000
const RETRIES = 2

/** A client of one Worker. @throws VergeError, TypeError if an option is not usable */
export function createClient(options: ClientOptions): VergeClient {
  return clientOver(transportOf(options))
}

/** The client whose requests go through a transport. */
export function clientOver(transport: Transport): VergeClient {
  const run = <Answer>(model: string, input: RunInput, options: RunOptions = {}): Promise<Answer> =>
    ask(transport, runRequest(model, input, options), options, runAnswer<Answer>)
  return {
    models: (options = {}) => ask(transport, { path: '/v1/models' }, options, listOf<ListedModel>('data')),
    run,
    classify: run,
    detect: run,
    detectSpeech: run,
    embed: ((model: string, input: string | readonly string[], options: WithParameters<EmbeddingParameters> = {}) =>
      embed(transport, model, input, options)) as VergeClient['embed'],
    rerank: (model, query, documents, options = {}) => {
      const body = { ...options.parameters, model, query, documents }
      return ask(transport, jsonRequest('/rerank', body, options.version), options, listOf<RankedDocument>('results'))
    },
    chat: (model, messages, options = {}) => {
      const list = typeof messages === 'string' ? [{ role: 'user', content: messages }] : messages
      const body = { ...options.parameters, model, messages: list }
      return generatedText(transport, '/v1/chat/completions', body, options)
    },
    complete: (model, prompt, options = {}) =>
      generatedText(transport, '/v1/completions', { ...options.parameters, model, prompt }, options),
    infer: async (model, inputs, options = {}) => {
      const { body, jsonLength } = writeTensors(inputs, options.outputs)
      const version = options.version === undefined ? '' : `/versions/${encodeURIComponent(options.version)}`
      const path = `/v2/models/${encodeURIComponent(model)}${version}/infer`
      const headers = { 'content-type': 'application/octet-stream', [JSON_LENGTH_HEADER]: String(jsonLength) }
      return ask(transport, { path, headers, body }, options, readTensors)
    },
  }
}

/** @throws VergeError, TypeError if an option is not usable */
export function transportOf(options: ClientOptions): Transport {
  const { clock = systemClock, fetch, random, retries, timeoutMs, url } = options
  if (!URL.canParse(String(url))) {
    throw new VergeError('invalid_request', `The client's "url" must be absolute, such as "https://verge.example.com".`)
  }
  const { origin, pathname } = new URL(url)
  return {
    base: origin + pathname.replace(/\/+$/, ''),
    credentials: credentialsOf(options, clock),
    fetch: fetch ?? systemFetch,
    timeoutMs: timeoutMs ?? TIMEOUT_MS,
    retries: retries ?? RETRIES,
    clock,
    random: random ?? systemRandom,
  }
}

function runRequest(model: string, input: RunInput, { contentType, parameters, version }: RunOptions): OutgoingRequest {
  const path = `/run/${encodeURIComponent(model)}`
  if (!isMedia(input)) return jsonRequest(path, { inputs: input, parameters }, version)
  const query = new URLSearchParams(version === undefined ? {} : { version })
  for (const [name, value] of Object.entries(parameters ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) query.append(name, queryText(one))
  }
  return {
    path,
    query,
    ...(contentType !== undefined && { headers: { 'content-type': contentType } }),
    body: input as Body,
    once: input instanceof ReadableStream,
  }
}

/** A value as the query has it: an object, such as a size, is JSON. */
function queryText(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}

function isMedia(input: RunInput): input is Media {
  return (
    input instanceof Blob ||
    input instanceof ArrayBuffer ||
    ArrayBuffer.isView(input) ||
    input instanceof ReadableStream
  )
}

async function runAnswer<Answer>(response: Response): Promise<Answer> {
  return (isJson(response) ? response.json() : response.blob()) as Promise<Answer>
}

/** Reads an answer whose list has this name. */
function listOf<Item>(name: 'data' | 'results'): (response: Response) => Promise<readonly Item[]> {
  return async (response) => {
    const list = (await json<Partial<Record<typeof name, readonly Item[]>>>(response))[name]
    if (!Array.isArray(list)) throw unexpected(`it has no list "${name}"`, response)
    return list
  }
}

async function embed(
  transport: Transport,
  model: string,
  input: string | readonly string[],
  options: WithParameters<EmbeddingParameters>,
): Promise<Float32Array | readonly Float32Array[]> {
  // base64: a third of the bytes, and every bit of them.
  const body = { ...options.parameters, model, input, encoding_format: 'base64' }
  const read = listOf<{ readonly embedding: string }>('data')
  const list = await ask(transport, jsonRequest('/v1/embeddings', body, options.version), options, read)
  const vectors = list.map(({ embedding }) => floatsIn(embedding))
  return typeof input === 'string' ? (vectors[0] ?? new Float32Array()) : vectors
}

function floatsIn(base64: string): Float32Array {
  return new Float32Array(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)).buffer)
}
