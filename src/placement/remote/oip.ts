import type { Manifest } from '../../catalog/manifest.ts'
import { type ErrorCode, isVergeError, VergeError } from '../../core/errors.ts'
import { GrowingBytes } from '../../core/growing-bytes.ts'
import { decodeUtf8 } from '../../core/json.ts'
import type { Tensors } from '../../core/tensors.ts'
import { FieldRenamer, type Names } from '../../protocols/field-renamer.ts'
import { parseJsonLength } from '../../protocols/oip/binary.ts'
import { readError } from '../../protocols/oip/error.ts'
import { BINARY_EXTENSION, JSON_LENGTH_HEADER, TENSOR_ALIGNMENT } from '../../protocols/oip/headers.ts'
import { readInferAnswer } from '../../protocols/oip/read-answer.ts'
import { inferPath, writeInferRequest } from '../../protocols/oip/write-request.ts'
import { type Origin, OriginFault, type OriginRequest } from '../origin.ts'
import { type ExchangeDeps, exchange, originHeaders } from './exchange.ts'

type Bytes = Uint8Array<ArrayBuffer>

const answerLimits = ({ originTensorBytes, tensorRank, tensorsPerRequest }: ExchangeDeps['limits']) => ({
  tensors: tensorsPerRequest,
  rank: tensorRank,
  elements: originTensorBytes,
})

/** What of a request's context an origin is told, and what ends the exchange. */
export interface RemoteCall {
  readonly requestId: string
  /** `callerName` of who asks. */
  readonly caller: string
  readonly signal: AbortSignal
  /** What is left of the deadline, in milliseconds. */
  readonly remainingMs?: number | undefined
}

/** A model's run at an origin. */
export interface RemoteRun {
  /** The origin's name for the model. */
  readonly model: string
  /** The origin's name for the version; its own choice if undefined. */
  readonly version: string | undefined
  readonly manifest: Manifest
  readonly inputs: Tensors
  /** Wanted, by name; all of them if undefined. */
  readonly outputs: readonly string[] | undefined
}

/**
 * Runs a model at an origin by the Open Inference Protocol, version 2: with binary tensors where the origin takes them.
 * @returns exactly the outputs wanted, of the types and shapes that the manifest says, in the order asked for
 * @throws OriginFault; run_rejected and other faults of the inputs; cancelled, deadline_exceeded
 */
export async function inferRemote(
  origin: Origin,
  { inputs, manifest, model, outputs, version }: RemoteRun,
  call: RemoteCall,
  deps: ExchangeDeps,
): Promise<Tensors> {
  const wanted = wantedOutputs(manifest, outputs)
  const binary = await takesBinary(origin, call, deps)
  const { body, headers: written } = writeInferRequest(inputs, { binary, outputs: wanted })
  const headers = originHeaders(new Headers({ ...written }), call.remainingMs)
  const request = { method: 'POST' as const, path: inferPath(model, version), headers, body, ...identity(call) }
  const answer = await exchange(origin, request, deps)
  if (answer.status >= 400) throw await refusal(answer)
  const head = answer.headers.get(JSON_LENGTH_HEADER)
  const length = head === null ? undefined : (parseJsonLength(head) ?? 0)
  const whole = await readAnswer(origin, answer, length, deps.limits)
  try {
    return readInferAnswer(whole, length, { limits: answerLimits(deps.limits), specs: manifest.outputs, wanted })
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

/** The outputs to ask for: those named, or all that are tensors, in the model's order. */
function wantedOutputs(
  { outputs }: Pick<Manifest, 'outputs'>,
  names: readonly string[] | undefined,
): readonly string[] {
  return names ?? outputs.flatMap(({ name, datatype }) => (datatype === null ? [] : [name]))
}

function identity({ requestId, caller, signal }: RemoteCall) {
  return { requestId, caller, signal }
}

async function takesBinary(origin: Origin, call: RemoteCall, deps: ExchangeDeps): Promise<boolean> {
  if (origin.kind === 'verge') return true
  const known = deps.binaryOrigins?.get(origin.name)
  if (known !== undefined) return known
  const headers = originHeaders(new Headers({ accept: 'application/json' }), call.remainingMs)
  const answer = await exchange(origin, { method: 'GET', path: '/v2', headers, body: null, ...identity(call) }, deps)
  const text = answer.body === null ? '' : (decodeUtf8(await readAnswer(origin, answer, undefined, deps.limits)) ?? '')
  const takes = text.includes(`"${BINARY_EXTENSION}"`)
  if (answer.ok) deps.binaryOrigins?.set(origin.name, takes)
  return takes
}

/** All of an answer, within bounds, placed so that the tensors after its JSON are aligned. */
async function readAnswer(
  origin: Origin,
  answer: Response,
  jsonLength: number | undefined,
  { inferenceHeaderBytes, originTensorBytes }: ExchangeDeps['limits'],
): Promise<Bytes> {
  const padding = (TENSOR_ALIGNMENT - ((jsonLength ?? 0) % TENSOR_ALIGNMENT)) % TENSOR_ALIGNMENT
  if (answer.body === null) throw garbage(origin, 'The answer has no body.')
  const most = originTensorBytes + inferenceHeaderBytes
  const content = new GrowingBytes({ first: FIRST_BYTES, most, padding })
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
  for (;;) {
    const { done, value } = await reader.read().catch((cause: unknown) => brokeOff(origin, cause))
    if (done) return content.bytes
    if (content.length + value.length > most) {
      const fault = garbage(origin, `The answer has more than ${originTensorBytes} bytes.`)
      await reader.cancel(fault).catch(() => {})
      throw fault
    }
    content.append(value)
  }
}

/** A stream on its way through may fail with words of the platform's, and not with the fault that broke it off. */
function brokeOff(origin: Origin, cause: unknown): never {
  if (cause instanceof OriginFault || isVergeError(cause)) throw cause
  throw new OriginFault('cut', `Origin "${origin.name}" ended its answer early.`, { origin: origin.name, cause })
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
  integer_too_large: true,
  context_length_exceeded: false,
  run_rejected: true,
  unauthorized: false,
  forbidden: false,
  not_downloadable: false,
  not_found: false,
  method_not_allowed: false,
  model_not_found: false,
  version_not_found: false,
  overloaded: false,
  rate_limited: false,
  budget_spent: false,
  limits_unavailable: false,
  cancelled: false,
  deadline_exceeded: false,
  weights_unavailable: false,
  weights_corrupt: false,
  manifest_invalid: false,
  alias_invalid: false,
  signature_invalid: false,
  release_outdated: false,
  conflict: false,
  store_unavailable: false,
  model_invalid: false,
  model_too_large: false,
  engine_full: false,
  engine_unsupported: false,
  streams_unavailable: false,
  tokens_unavailable: false,
  not_implemented: false,
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
  const { code, error } = readError(text)
  if (isAboutTensors(code) && error !== undefined) return new VergeError(code, error)
  return new VergeError('run_rejected', 'The model could not run on these inputs. Check their shapes and values.', {
    cause: new Error(text.slice(0, 500)),
  })
}

function garbage(origin: Origin, message: string, cause?: unknown): OriginFault {
  return new OriginFault('garbage', `Origin "${origin.name}": ${message}`, { origin: origin.name, cause })
}
