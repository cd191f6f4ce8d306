import type { PanelRequest } from '../panels/request.ts'
import { halfValue } from '../tensors/half.ts'

/** What code has to know beside the request itself. */
export interface CodeContext {
  /** The Worker's address, without a slash at its end. */
  readonly url: string
  readonly model: string
  /** A version that the visitor chose; undefined: the live one. */
  readonly version?: string | undefined
  /** Where the visitor asked to run it; undefined: the Worker decides. */
  readonly place?: 'browser' | 'edge' | 'origin' | undefined
  /** Where the answer came from. */
  readonly answered?: 'browser' | 'edge' | 'origin' | undefined
  /** The answer is a picture, and not JSON. */
  readonly picture?: boolean | undefined
  /** A public model needs no key. Code never holds a real one. */
  readonly needsKey?: boolean | undefined
}

/** Code in one language for one request. */
export interface Snippet {
  readonly id: 'curl' | 'fetch' | 'client' | 'openai' | 'python' | 'anthropic' | 'ollama'
  readonly label: string
  readonly language: 'sh' | 'js' | 'py'
  readonly code: string
  /** A file that the code sends, beside the visitor's own. */
  readonly body?: { readonly name: string; readonly text: string }
}

/** What stands where the key belongs. */
export const KEY_PLACEHOLDER = 'YOUR_VERGE_API_KEY'

/** What other services' clients are told beside a request: the place that the visitor asked for, and a key that they insist on. */
export function visitedPlace({ needsKey, place }: CodeContext) {
  return {
    key: needsKey === true ? KEY_PLACEHOLDER : 'any',
    ...((place === 'edge' || place === 'origin') && { headers: { 'verge-place': place } }),
  }
}

/** The HTTP request behind a panel's. */
export interface HttpRequest {
  /** With the query. */
  readonly path: string
  /** JSON to send; undefined where bytes are. */
  readonly json: unknown
  /** Bytes to send: their media type, and the name of a file that holds them. */
  readonly file: { readonly type: string; readonly name: string } | undefined
  /** What stands in `Verge` headers, the key's placeholder among them. */
  readonly headers: Readonly<Record<string, string>>
}

/** A text to continue may be sent to every model; `input` of `rerank`. */
interface RankInput {
  readonly query: string
  readonly documents: readonly string[]
}

/** A tensor of `input` of `infer`, by name. */
interface TensorIn {
  readonly shape: readonly number[]
  readonly datatype?: string
  readonly data: ArrayLike<number | bigint | string>
}

/** The request as it goes over the wire. @param stream chats and completions alone */
export function httpRequest(request: PanelRequest, context: CodeContext, stream = false): HttpRequest {
  const { input, method, parameters } = request
  const { model, version } = context
  const headers = headersOf(context)
  const query = new URLSearchParams(version === undefined ? {} : { version })
  const json = (path: string, body: unknown): HttpRequest => ({
    path: withQuery(path, query),
    json: body,
    file: undefined,
    headers,
  })
  switch (method) {
    case 'run': {
      const path = `/run/${encodeURIComponent(model)}`
      if (!(input instanceof Blob)) return json(path, { inputs: input, ...(hasAny(parameters) && { parameters }) })
      for (const [name, value] of Object.entries(parameters ?? {})) {
        for (const one of Array.isArray(value) ? (value as unknown[]) : [value])
          if (one !== undefined) query.append(name, queryText(one))
      }
      const type = input.type || 'application/octet-stream'
      return { path: withQuery(path, query), json: undefined, file: { type, name: fileName(input) }, headers }
    }
    case 'embed':
      return json('/v1/embeddings', { model, input, ...parameters })
    case 'rerank':
      return json('/rerank', { model, ...(input as RankInput), ...parameters })
    case 'chat':
      return json('/v1/chat/completions', { model, messages: input, ...parameters, ...(stream && { stream }) })
    case 'complete':
      return json('/v1/completions', { model, prompt: input, ...parameters, ...(stream && { stream }) })
    case 'infer': {
      const path = `/v2/models/${encodeURIComponent(model)}${version === undefined ? '' : `/versions/${encodeURIComponent(version)}`}/infer`
      return { path, json: { inputs: tensorsOf(input), ...parameters }, file: undefined, headers }
    }
  }
}

/** A value as the query has it: an object, such as a size, is JSON. */
function queryText(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}

function headersOf({ needsKey, place }: CodeContext): Record<string, string> {
  return {
    ...(needsKey && { authorization: `Bearer ${KEY_PLACEHOLDER}` }),
    ...((place === 'edge' || place === 'origin') && { 'verge-place': place }),
  }
}

function withQuery(path: string, query: URLSearchParams): string {
  return query.size === 0 ? path : `${path}?${query}`
}

export function hasAny(
  parameters: Readonly<Record<string, unknown>> | undefined,
): parameters is Record<string, unknown> {
  return parameters !== undefined && Object.values(parameters).some((value) => value !== undefined)
}

const DATATYPES: Readonly<Record<string, string>> = {
  Uint8Array: 'UINT8',
  Uint16Array: 'UINT16',
  Uint32Array: 'UINT32',
  BigUint64Array: 'UINT64',
  Int8Array: 'INT8',
  Int16Array: 'INT16',
  Int32Array: 'INT32',
  BigInt64Array: 'INT64',
  Float32Array: 'FP32',
  Float64Array: 'FP64',
}

/** The tensors of a request to `infer`, with the datatype that the client takes from the array. */
export function namedTensors(input: unknown): [name: string, tensor: TensorIn & { readonly datatype: string }][] {
  return Object.entries(input as Readonly<Record<string, TensorIn>>).map(([name, tensor]) => {
    const kind = Object.prototype.toString.call(tensor.data).slice(8, -1)
    return [name, { ...tensor, datatype: tensor.datatype ?? DATATYPES[kind] ?? 'BYTES' }]
  })
}

function tensorsOf(input: unknown): unknown[] {
  return namedTensors(input).map(([name, { data, datatype, shape }]) => ({
    name,
    datatype,
    shape,
    // JSON has the numbers, and not their bits.
    data: datatype === 'FP16' ? Array.from(data, (half) => halfValue(Number(half))) : Array.from(data),
  }))
}

const ENDINGS: Readonly<Record<string, string>> = {
  'image/png': 'picture.png',
  'image/jpeg': 'picture.jpg',
  'image/webp': 'picture.webp',
  'audio/wav': 'sound.wav',
  'audio/x-wav': 'sound.wav',
  'text/csv': 'table.csv',
  'text/plain': 'text.txt',
  'application/json': 'input.json',
}

/** The name of a file with these bytes: its own, or one by its type. Names hold nothing that a shell would read. */
export function fileName(blob: Blob): string {
  const own = 'name' in blob && typeof blob.name === 'string' ? blob.name : ''
  if (/^\w[\w.-]{0,63}$/.test(own)) return own
  return ENDINGS[blob.type.split(';')[0] ?? ''] ?? 'file.bin'
}
