import * as z from 'zod'
import type { Manifest } from '../catalog/manifest.ts'
import type { VergeInputs } from '../client/rpc-types.ts'
import { charsetOf, mediaTypeOf } from '../core/body.ts'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { ARRAY_TYPES, DATATYPES, type Tensor, type Tensors, tensor } from '../core/tensors.ts'
import { refuseManyItems, validate } from '../core/validation.ts'
import { tensorFromJson } from '../protocols/oip/json.ts'
import { checkInputs, checkOutputs, refuseLongTexts } from '../protocols/oip/read-request.ts'
import type { BoundTask, TaskBody } from '../tasks/task.ts'
import { measureInput, tooLarge } from './measure.ts'
import { isUnread, readUnread, type Unread, type UnreadOptions } from './streamed.ts'

/** A value that crossed the binding, by kind. */
export type RpcInputs =
  | { readonly kind: 'unread'; readonly unread: Unread }
  | {
      readonly kind: 'bytes'
      readonly bytes: Uint8Array<ArrayBuffer>
      /** The media type that the source declares. */
      readonly contentType?: string | undefined
    }
  | { readonly kind: 'json'; readonly value: unknown; readonly size: number }
  | { readonly kind: 'tensors'; readonly tensors: unknown; readonly size: number }

export interface InputLimits {
  readonly requestBodyBytes: number
  readonly jsonContainers: number
}

/**
 * Sorts inputs, and measures them before anything is made of them.
 * @throws invalid_request, body_too_large, input_too_large
 */
export function sortInputs(inputs: VergeInputs, limits: InputLimits): RpcInputs {
  const { jsonContainers: maxContainers, requestBodyBytes: maxBytes } = limits
  if (isUnread(inputs)) return { kind: 'unread', unread: inputs }
  const bytes = bytesOf(inputs)
  if (bytes !== undefined) {
    if (bytes.length > maxBytes) throw tooLarge(maxBytes)
    return { kind: 'bytes', bytes }
  }
  const tensors = typeof inputs === 'object' && inputs !== null && 'tensors' in inputs ? inputs.tensors : undefined
  if (tensors !== undefined) {
    return { kind: 'tensors', tensors, size: measureInput(tensors, { maxBytes, maxContainers, views: true }) }
  }
  return { kind: 'json', value: inputs, size: measureInput(inputs, { maxBytes, maxContainers, views: false }) }
}

/** The default type of stores, which does not describe the bytes. */
const ANY_BYTES = 'application/octet-stream'

/** @throws what `readUnread` throws */
export async function readInputs(
  unread: Unread,
  options: UnreadOptions,
): Promise<Extract<RpcInputs, { kind: 'bytes' }>> {
  const { bytes, contentType } = await readUnread(unread, options)
  return { kind: 'bytes', bytes, contentType: mediaTypeOf(contentType) === ANY_BYTES ? undefined : contentType }
}

function bytesOf(inputs: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (inputs instanceof ArrayBuffer) return new Uint8Array(inputs)
  if (inputs instanceof Uint8Array && inputs.buffer instanceof ArrayBuffer) {
    return new Uint8Array(inputs.buffer, inputs.byteOffset, inputs.byteLength)
  }
  return undefined
}

/** Whether the inputs are named tensors instead of a task's input. */
export function areTensors(inputs: unknown): boolean {
  if (isUnread(inputs) || bytesOf(inputs) !== undefined) return false
  return typeof inputs === 'object' && inputs !== null && 'tensors' in inputs && inputs.tensors !== undefined
}

/** The body for a task, as if it came over HTTP. @throws unsupported_media_type */
export function taskBody(
  inputs: Extract<RpcInputs, { kind: 'bytes' | 'json' }>,
  task: BoundTask,
  { contentType, parameters }: { readonly contentType?: string | undefined; readonly parameters?: unknown },
): TaskBody {
  const withParameters = parameters === undefined ? {} : { parameters }
  if (inputs.kind === 'json') return { kind: 'json', value: { inputs: inputs.value, ...withParameters } }
  const given = mediaTypeOf(contentType)
  const type = given === '' ? defaultType(task) : given
  if (type === undefined || !task.mediaTypes.includes(type)) {
    throw new VergeError(
      'unsupported_media_type',
      `Set the option "contentType" for the bytes: ${task.mediaTypes.join(', ') || 'this task takes none'}.`,
    )
  }
  const charset = charsetOf(contentType)
  return {
    kind: 'bytes',
    mediaType: type,
    bytes: inputs.bytes,
    ...(charset !== undefined && { charset }),
    ...withParameters,
  }
}

function defaultType({ mediaTypes }: BoundTask): string | undefined {
  return mediaTypes.includes(ANY_BYTES) ? ANY_BYTES : mediaTypes[0]
}

const tensorSchema = z.strictObject({
  datatype: z.enum(DATATYPES),
  shape: z.array(z.number().int().nonnegative()),
  data: z.unknown(),
})
const tensorsSchema = z.record(z.string(), tensorSchema)

/**
 * Tensors, checked against the model's signature as those of the Open Inference Protocol are.
 * @throws what `checkInputs`, `checkOutputs` and `tensorFromJson` throw
 */
export function tensorInputs(
  given: unknown,
  wanted: readonly string[] | undefined,
  manifest: Manifest,
  limits: Limits,
): { readonly inputs: Tensors; readonly outputs: readonly string[] | undefined } {
  refuseManyItems(given, limits.requestItems)
  const named = validate(tensorsSchema, given, 'The tensors')
  const list = Object.entries(named).map(([name, value]) => ({ name, ...value }))
  checkInputs(list, manifest.inputs, limits)
  refuseLongTexts(list, manifest)
  const outputs = checkOutputs(
    wanted?.map((name) => ({ name })),
    manifest.outputs,
    limits,
  )
  return { inputs: new Map(list.map((one) => [one.name, toTensor(one, limits)])), outputs }
}

type Given = z.infer<typeof tensorSchema> & { readonly name: string }

function toTensor({ name, datatype, shape, data }: Given, limits: Limits): Tensor {
  if (!ArrayBuffer.isView(data)) return tensorFromJson(name, datatype, shape, data, limits.stringBytes)
  const type = datatype === 'BYTES' ? undefined : ARRAY_TYPES[datatype]
  if (type === undefined || !(data instanceof type)) {
    throw new VergeError(
      'invalid_tensor',
      `Input "${name}": the data of a ${datatype} tensor must be ${type === undefined ? 'an array of strings' : `a ${type.name}`}.`,
    )
  }
  if (datatype === 'BOOL' && (data as Uint8Array).some((byte) => byte > 1)) {
    throw new VergeError('invalid_tensor', `Input "${name}": a BOOL element is one byte, 0 or 1.`)
  }
  return tensor(datatype, shape, data as never)
}
