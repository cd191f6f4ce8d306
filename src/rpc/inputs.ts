import { z } from 'zod'
import type { Manifest } from '../catalog/manifest.ts'
import type { VergeInputs } from '../client/rpc-types.ts'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { tensorFromJson } from '../core/oip/json.ts'
import { ARRAY_TYPES, DATATYPES, type Tensor, type Tensors, tensor } from '../core/tensors.ts'
import { refuseManyItems, validate } from '../core/validation.ts'
import { checkInputs, checkOutputs, refuseLongTexts } from '../http/oip/validate.ts'
import type { BoundTask, TaskBody } from '../tasks/task.ts'

/** What crossed the binding, by what it is. */
export type RpcInputs =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'json'; readonly value: unknown; readonly size: number }
  | { readonly kind: 'tensors'; readonly tensors: unknown; readonly size: number }

/**
 * Sorts inputs, and measures them before anything is made of them. A structured clone may hold what JSON cannot, cycles
 * among it: these end at the limit.
 * @throws invalid_request, body_too_large
 */
export function readInputs(inputs: VergeInputs, maxBytes: number): RpcInputs {
  const bytes = bytesOf(inputs)
  if (bytes !== undefined) {
    if (bytes.length > maxBytes) throw tooLarge(maxBytes)
    return { kind: 'bytes', bytes }
  }
  const tensors = typeof inputs === 'object' && inputs !== null && 'tensors' in inputs ? inputs.tensors : undefined
  if (tensors !== undefined) return { kind: 'tensors', tensors, size: sizeOf(tensors, maxBytes, true) }
  return { kind: 'json', value: inputs, size: sizeOf(inputs, maxBytes, false) }
}

function bytesOf(inputs: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (inputs instanceof ArrayBuffer) return new Uint8Array(inputs)
  if (inputs instanceof Uint8Array && inputs.buffer instanceof ArrayBuffer) {
    return new Uint8Array(inputs.buffer, inputs.byteOffset, inputs.byteLength)
  }
  return undefined
}

/** About what values take in memory. */
const BYTES_PER_VALUE = 8
const BYTES_PER_CHARACTER = 2

function sizeOf(root: unknown, maxBytes: number, views: boolean): number {
  const open: unknown[] = [root]
  let size = 0
  while (open.length > 0) {
    const value = open.pop()
    size += BYTES_PER_VALUE
    if (typeof value === 'string') size += BYTES_PER_CHARACTER * value.length
    else if (views && ArrayBuffer.isView(value)) size += value.byteLength
    else if (Array.isArray(value)) {
      // Unlike JSON's, a list may be sparse: its length costs the caller nothing.
      if (value.length * BYTES_PER_VALUE > maxBytes) throw tooLarge(maxBytes)
      for (const item of value) open.push(item)
    } else if (isRecord(value)) {
      for (const [name, member] of Object.entries(value)) {
        size += BYTES_PER_CHARACTER * name.length
        open.push(member)
      }
    } else if (!isPlain(value)) {
      throw new VergeError(
        'invalid_request',
        'The inputs must be bytes (an ArrayBuffer or a Uint8Array), JSON values, or {tensors}.',
      )
    }
    if (size > maxBytes || open.length * BYTES_PER_VALUE > maxBytes) throw tooLarge(maxBytes)
  }
  return size
}

function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function isPlain(value: unknown): boolean {
  return value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean'
}

function tooLarge(maxBytes: number): VergeError {
  return new VergeError('body_too_large', `The inputs may have at most ${maxBytes} bytes.`, {
    details: { limit_bytes: maxBytes },
  })
}

/** What a task gets, as if it had come over HTTP. @throws unsupported_media_type */
export function taskBody(
  inputs: Exclude<RpcInputs, { kind: 'tensors' }>,
  task: BoundTask,
  { contentType, parameters }: { readonly contentType?: string | undefined; readonly parameters?: unknown },
): TaskBody {
  const withParameters = parameters === undefined ? {} : { parameters }
  if (inputs.kind === 'json') return { kind: 'json', value: { inputs: inputs.value, ...withParameters } }
  const mediaType = contentType?.toLowerCase() ?? defaultType(task)
  if (mediaType === undefined || !task.mediaTypes.includes(mediaType)) {
    throw new VergeError(
      'unsupported_media_type',
      `Say what the bytes are with the option "contentType": ${task.mediaTypes.join(', ') || 'this task takes none'}.`,
    )
  }
  return { kind: 'bytes', mediaType, bytes: inputs.bytes, ...withParameters }
}

const ANY_BYTES = 'application/octet-stream'

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
