import type { Manifest } from '../catalog/manifest.ts'
import type { VergeFailure, VergeFile, VergeTensors } from '../client/rpc-types.ts'
import { isVergeError, VergeError } from '../core/errors.ts'
import { bytesHeld, type Tensors } from '../core/tensors.ts'
import { shownTo } from '../inference/access.ts'
import { STATUS } from '../protocols/status.ts'
import { RawAnswer } from '../tasks/task.ts'

/** Tensors as they cross the binding. @throws unsupported_output if they are more than a message may hold */
export function tensorsAnswer({ model, version }: Manifest, outputs: Tensors, maxBytes: number): VergeTensors {
  const bytes = bytesHeld(outputs)
  if (bytes > maxBytes) throw tooMuch(bytes, maxBytes)
  return {
    model,
    version,
    outputs: Object.fromEntries(
      [...outputs].map(([name, { datatype, shape, data }]) => [name, { datatype, shape, data: alone(data) }]),
    ),
  }
}

/** A task's answer: JSON unchanged, an image with its media type. @throws unsupported_output */
export function taskAnswer(answer: unknown, maxBytes: number): unknown {
  if (!(answer instanceof RawAnswer)) return answer
  const { mediaType, bytes } = answer
  if (bytes.byteLength > maxBytes) throw tooMuch(bytes.byteLength, maxBytes)
  const file: VergeFile = { mediaType, bytes: alone(bytes) }
  return file
}

function tooMuch(bytes: number, maxBytes: number): VergeError {
  return new VergeError(
    'unsupported_output',
    `The answer has ${bytes} bytes; the limit of a binding is ${maxBytes}. Request fewer outputs, or send less.`,
    { details: { bytes, limit_bytes: maxBytes } },
  )
}

/** A view is cloned with its whole buffer, which may contain the data of others. */
function alone<T extends readonly string[] | ArrayBufferView>(data: T): T {
  if (!ArrayBuffer.isView(data) || data.byteLength === data.buffer.byteLength) return data
  return (data as unknown as { slice(): T }).slice()
}

const INTERNAL = 'Internal error. Try again. If the error persists, report the request id to the operator of Verge.'

/** A failure as a caller may see it. Untyped errors become `internal`. */
export function failureOf(thrown: unknown, requestId: string): VergeFailure {
  const error = isVergeError(thrown) ? thrown : new VergeError('internal', INTERNAL, { cause: thrown })
  const { code, message, retryAfter, details } = shownTo(undefined, error)
  return {
    code,
    message,
    status: STATUS[code],
    requestId,
    ...(retryAfter !== undefined && { retryAfter }),
    ...(details !== undefined && { details }),
  }
}

/** The error that `run` throws. Its fields cross the binding, and its stack is empty. */
export class RpcError extends Error implements VergeFailure {
  override readonly name = 'VergeError'
  readonly code: string
  readonly status: number
  readonly requestId: string
  declare readonly retryAfter?: number
  declare readonly details?: NonNullable<VergeFailure['details']>

  constructor({ message, ...fields }: VergeFailure) {
    super(message)
    this.code = fields.code
    this.status = fields.status
    this.requestId = fields.requestId
    Object.assign(this, fields)
    this.stack = `${this.name}: ${message}`
  }
}
