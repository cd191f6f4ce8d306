import type { Manifest } from '../../catalog/manifest.ts'
import { type ErrorCode, isVergeError, VergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Tensor, Tensors } from '../../core/tensors.ts'
import { decodeUtf8 } from '../../core/utf8.ts'
import { tensorToBinary } from '../../protocols/oip/binary.ts'
import { JSON_LENGTH_HEADER } from '../../protocols/oip/headers.ts'
import { dataToJson } from '../../protocols/oip/json.ts'
import { OriginFault } from '../fault.ts'
import type { Origin, OriginRequest } from '../origin.ts'
import { type ExchangeDeps, exchange } from './exchange.ts'
import { originHeaders } from './headers.ts'
import { tensorsOfAnswer, wantedOutputs } from './oip-answer.ts'
import { FieldRenamer, type Names } from './rename.ts'

type Bytes = Uint8Array<ArrayBuffer>

/** Binary data begin at a multiple of this, so that they can be read where they lie. */
const ALIGNMENT = 8

/** What of a request's context an origin is told, and what ends the exchange. */
export interface RemoteCall {
  readonly requestId: string
  /** `callerName` of who asks. */
  readonly caller: string
  readonly signal: AbortSignal
  /** What is left of the deadline, in milliseconds. */
  readonly remainingMs?: number | undefined
}

/**
 * Runs a model at an origin by the Open Inference Protocol, version 2: with binary tensors where the origin takes them.
 * @param model the origin's name for it
 * @param version the origin's name for the version; its own choice if left out
 * @param outputs wanted, by name; all of them if left out
 * @returns exactly the outputs wanted, of the types and shapes that the manifest says, in the order asked for
 * @throws OriginFault; run_rejected and other faults of the inputs; cancelled, deadline_exceeded
 */
export async function inferRemote(
  origin: Origin,
  model: string,
  version: string | undefined,
  manifest: Manifest,
  inputs: Tensors,
  outputs: readonly string[] | undefined,
  call: RemoteCall,
  deps: ExchangeDeps,
): Promise<Tensors> {
  const wanted = wantedOutputs(manifest, outputs)
  const binary = await takesBinary(origin, call, deps)
  const { body, jsonLength } = binary ? binaryRequest(inputs, wanted) : jsonRequest(inputs, wanted)
  const headers = originHeaders(new Headers(), call.remainingMs)
  headers.set('content-type', jsonLength === undefined ? 'application/json' : 'application/octet-stream')
  if (jsonLength !== undefined) headers.set(JSON_LENGTH_HEADER, String(jsonLength))
  const request = { method: 'POST' as const, path: inferPath(model, version), headers, body, ...identity(call) }
  const answer = await exchange(origin, request, deps)
  if (answer.status >= 400) throw await refusal(answer)
  const head = answer.headers.get(JSON_LENGTH_HEADER)
  const length = head === null ? undefined : Number(head)
  const whole = await readAnswer(origin, answer, length)
  try {
    return tensorsOfAnswer(whole, length, manifest, wanted)
  } catch (cause) {
    throw garbage(origin, isVergeError(cause) ? cause.message : 'The answer cannot be read.', cause)
  }
}

/**
 * Has an origin that speaks this protocol alone answer an inference request under our name for the model. The origin
 * chooses the version: its versions are not ours.
 * @param names.version our version, which the answer is to name
 * @throws what `exchange` throws
 */
export function exchangeOip(
  origin: Origin,
  request: OriginRequest,
  names: Names & { readonly version: string },
  deps: ExchangeDeps,
): Promise<Response> {
  const named = { ...request, path: inferPath(names.theirs, undefined) }
  return exchange(origin, named, deps, {
    json() {
      const name = new FieldRenamer('model_name', names.ours)
      const version = new FieldRenamer('model_version', names.version)
      return (piece) => version.push(name.push(piece))
    },
    events: (events) => events,
  })
}

function inferPath(model: string, version: string | undefined): string {
  const of = version === undefined ? '' : `/versions/${encodeURIComponent(version)}`
  return `/v2/models/${encodeURIComponent(model)}${of}/infer`
}

function identity({ requestId, caller, signal }: RemoteCall) {
  return { requestId, caller, signal }
}

/** What servers have said of themselves; the answers and not promises of them, which belong to the requests that ask. */
const binaryOrigins = new WeakMap<Origin, boolean>()

async function takesBinary(origin: Origin, call: RemoteCall, deps: ExchangeDeps): Promise<boolean> {
  if (origin.kind === 'verge') return true
  const known = binaryOrigins.get(origin)
  if (known !== undefined) return known
  const headers = originHeaders(new Headers({ accept: 'application/json' }), call.remainingMs)
  const answer = await exchange(origin, { method: 'GET', path: '/v2', headers, body: null, ...identity(call) }, deps)
  const text = answer.body === null ? '' : (decodeUtf8(await readAnswer(origin, answer, undefined)) ?? '')
  const takes = /"binary_tensor_data"/.test(text)
  if (answer.ok) binaryOrigins.set(origin, takes)
  return takes
}

function jsonRequest(
  inputs: Tensors,
  wanted: readonly string[],
): { readonly body: Bytes; readonly jsonLength?: number } {
  const parts = [...inputs].map(([name, value]) => inputJson(name, value, `"data":${dataToJson(value)}`))
  const outputs = wanted.map((name) => `{"name":${JSON.stringify(name)}}`)
  return { body: encode(`{"inputs":[${parts.join(',')}],"outputs":[${outputs.join(',')}]}`) }
}

function binaryRequest(
  inputs: Tensors,
  wanted: readonly string[],
): { readonly body: Bytes; readonly jsonLength: number } {
  const blobs: Uint8Array[] = []
  const parts = [...inputs].map(([name, value]) => {
    const blob = tensorToBinary(value)
    blobs.push(blob)
    return inputJson(name, value, `"parameters":{"binary_data_size":${blob.length}}`)
  })
  const outputs = wanted.map((name) => `{"name":${JSON.stringify(name)},"parameters":{"binary_data":true}}`)
  const json = encode(`{"inputs":[${parts.join(',')}],"outputs":[${outputs.join(',')}]}`)
  const jsonLength = Math.ceil(json.length / ALIGNMENT) * ALIGNMENT
  const body = new Uint8Array(blobs.reduce((total, blob) => total + blob.length, jsonLength))
  body.set(json)
  body.fill(SPACE, json.length, jsonLength)
  let at = jsonLength
  for (const blob of blobs) {
    body.set(blob, at)
    at += blob.length
  }
  return { body, jsonLength }
}

const SPACE = 0x20

function inputJson(name: string, value: Tensor, content: string): string {
  return `{"name":${JSON.stringify(name)},"datatype":"${value.datatype}","shape":[${value.shape.join(',')}],${content}}`
}

/** All of an answer, within bounds, placed so that the tensors after its JSON are aligned. */
async function readAnswer(origin: Origin, answer: Response, jsonLength: number | undefined): Promise<Bytes> {
  const padding = (ALIGNMENT - ((jsonLength ?? 0) % ALIGNMENT)) % ALIGNMENT
  let buffer = new Uint8Array(padding + FIRST_BYTES)
  let end = padding
  if (answer.body === null) throw garbage(origin, 'The answer has no body.')
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
  for (;;) {
    const { done, value } = await reader.read().catch((cause: unknown) => brokeOff(origin, cause))
    if (done) return buffer.subarray(padding, end)
    if (end + value.length - padding > LIMITS.originTensorBytes + LIMITS.inferenceHeaderBytes) {
      const fault = garbage(origin, `The answer has more than ${LIMITS.originTensorBytes} bytes.`)
      await reader.cancel(fault).catch(() => {})
      throw fault
    }
    if (end + value.length > buffer.length) {
      const grown = new Uint8Array(Math.max(end + value.length, 2 * buffer.length))
      grown.set(buffer.subarray(0, end))
      buffer = grown
    }
    buffer.set(value, end)
    end += value.length
  }
}

/** A stream on its way through may fail with words of the platform's, and not with the fault that broke it off. */
function brokeOff(origin: Origin, cause: unknown): never {
  if (cause instanceof OriginFault || isVergeError(cause)) throw cause
  throw new OriginFault('cut', `Origin "${origin.name}" broke off its answer.`, { origin: origin.name, cause })
}

const FIRST_BYTES = 64 * 1024

/** Whether a Verge origin's words for a code are about the tensors that were sent, so that the caller may see them. */
const ABOUT_TENSORS = {
  invalid_json: false,
  invalid_request: false,
  invalid_tensor: true,
  unsupported_datatype: false,
  unknown_input: false,
  missing_input: false,
  unknown_output: false,
  unsupported_output: true,
  empty_input: false,
  invalid_image: false,
  invalid_audio: false,
  task_mismatch: false,
  unsupported_media_type: false,
  unsupported_encoding: false,
  upgrade_required: false,
  body_too_large: false,
  body_too_slow: false,
  input_too_large: true,
  cost_too_high: true,
  run_too_large: true,
  context_length_exceeded: false,
  run_rejected: true,
  unauthorized: false,
  forbidden: false,
  not_found: false,
  method_not_allowed: false,
  model_not_found: false,
  version_not_found: false,
  overloaded: false,
  cancelled: false,
  deadline_exceeded: false,
  weights_unavailable: false,
  weights_corrupt: false,
  manifest_invalid: false,
  alias_invalid: false,
  conflict: false,
  store_unavailable: false,
  model_invalid: false,
  model_too_large: false,
  engine_full: false,
  engine_unsupported: false,
  streams_unavailable: false,
  origin_unavailable: false,
  origin_failed: false,
  placement_impossible: false,
  engine_aborted: false,
  session_lost: false,
  internal: false,
} satisfies Readonly<Record<ErrorCode, boolean>>

function isAboutTensors(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ABOUT_TENSORS, code) && ABOUT_TENSORS[code as ErrorCode]
}

/** What an origin found wrong with the inputs. Its own words may hold what is no concern of the caller's: only a Verge origin's are passed on. */
async function refusal(answer: Response): Promise<VergeError> {
  const text = decodeUtf8(new Uint8Array(await answer.arrayBuffer())) ?? ''
  let fields: { readonly code?: unknown; readonly error?: unknown } = {}
  try {
    fields = (JSON.parse(text) ?? {}) as typeof fields
  } catch {
    // Said in other words than the protocol's.
  }
  const { code, error } = fields
  if (isAboutTensors(code) && typeof error === 'string') return new VergeError(code, error)
  return new VergeError('run_rejected', 'The model could not run on these inputs. Check their shapes and values.', {
    cause: new Error(text.slice(0, 500)),
  })
}

function garbage(origin: Origin, message: string, cause?: unknown): OriginFault {
  return new OriginFault('garbage', `Origin "${origin.name}": ${message}`, { origin: origin.name, cause })
}

function encode(text: string): Bytes {
  return new TextEncoder().encode(text).slice()
}
