import { isVergeError, VergeError } from '../core/errors.ts'
import { LIMITS } from '../core/limits.ts'
import { type Datatype, elementCount, type Tensors } from '../core/tensors.ts'
import { tensorFromBinary, tensorToBinary } from '../protocols/oip/binary.ts'
import { JSON_LENGTH_HEADER } from '../protocols/oip/headers.ts'

export interface InferOptions {
  /** Outputs wanted; all if left out. */
  readonly outputs?: readonly string[]
  readonly version?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

export interface Inferred {
  readonly outputs: Tensors
  /** Milliseconds from sending the request to having the whole answer. */
  readonly ms: number
  /** Parts of the answer's `Server-Timing` in milliseconds; a part that measured nothing is absent. */
  readonly timings: Readonly<Record<string, number>>
}

/** A request of the Open Inference Protocol, ready to be sent again and again. */
export interface InferRequest {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array<ArrayBuffer>
}

interface OutputHeader {
  readonly name: string
  readonly datatype: Datatype
  readonly shape: readonly number[]
  readonly parameters?: { readonly binary_data_size?: number }
}

/** Writes a request with binary tensors both ways. */
export function inferRequest(model: string, inputs: Tensors, options: InferOptions = {}): InferRequest {
  const parts = [...inputs].map(([name, value]) => ({ name, value, bytes: tensorToBinary(value) }))
  const header = new TextEncoder().encode(
    JSON.stringify({
      inputs: parts.map(({ name, value, bytes }) => ({
        name,
        datatype: value.datatype,
        shape: value.shape,
        parameters: { binary_data_size: bytes.length },
      })),
      ...(options.outputs && { outputs: options.outputs.map((name) => ({ name })) }),
      parameters: { binary_data_output: true },
    }),
  )
  const body = new Uint8Array(parts.reduce((total, { bytes }) => total + bytes.length, header.length))
  body.set(header)
  let at = header.length
  for (const { bytes } of parts) {
    body.set(bytes, at)
    at += bytes.length
  }
  const version = options.version === undefined ? '' : `/versions/${options.version}`
  return {
    path: `/v2/models/${model}${version}/infer`,
    headers: {
      ...options.headers,
      'content-type': 'application/octet-stream',
      [JSON_LENGTH_HEADER]: String(header.length),
    },
    body,
  }
}

/**
 * Sends a request and reads its answer.
 * @throws VergeError with the server's own code and words unless it answers 200
 */
export async function send(url: string, request: InferRequest, signal?: AbortSignal): Promise<Inferred> {
  const begun = performance.now()
  const response = await fetch(`${url}${request.path}`, {
    method: 'POST',
    headers: request.headers,
    body: request.body,
    ...(signal && { signal }),
  })
  const bytes = new Uint8Array(await response.arrayBuffer())
  const ms = performance.now() - begun
  if (response.status !== 200) throw failure(response.status, bytes)
  return {
    outputs: readOutputs(bytes, Number(response.headers.get(JSON_LENGTH_HEADER))),
    ms,
    timings: serverTiming(response.headers),
  }
}

/** `inferRequest` and `send` in one. */
export function infer(url: string, model: string, inputs: Tensors, options: InferOptions = {}): Promise<Inferred> {
  return send(url, inferRequest(model, inputs, options), options.signal)
}

function readOutputs(bytes: Uint8Array<ArrayBuffer>, headerLength: number): Tensors {
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(0, headerLength))) as { outputs: OutputHeader[] }
  let at = headerLength
  return new Map(
    header.outputs.map(({ name, datatype, shape, parameters }) => {
      const size = parameters?.binary_data_size ?? 0
      if (at + size > bytes.length || elementCount(shape) > bytes.length) {
        throw new VergeError('internal', `The answer ends before its output "${name}" does.`)
      }
      const part = bytes.subarray(at, at + size)
      at += size
      return [name, tensorFromBinary(name, datatype, shape, part, LIMITS.nativeArtifactBytes)]
    }),
  )
}

function failure(status: number, bytes: Uint8Array): VergeError {
  const text = new TextDecoder().decode(bytes.subarray(0, 2000))
  try {
    const { error, code } = JSON.parse(text) as { error?: unknown; code?: unknown }
    if (typeof error === 'string' && typeof code === 'string') {
      return new VergeError(code as VergeError['code'], error, { details: { status } })
    }
  } catch (error) {
    if (isVergeError(error)) throw error
  }
  return new VergeError('internal', `The Worker answered HTTP ${status}: ${text.slice(0, 300)}`, {
    details: { status },
  })
}

function serverTiming(headers: Headers): Readonly<Record<string, number>> {
  const parts = (headers.get('server-timing') ?? '').split(',')
  return Object.fromEntries(
    parts.flatMap((part) => {
      const [, name, duration] = /^\s*([\w-]+);dur=([\d.]+)\s*$/.exec(part) ?? []
      return name === undefined ? [] : [[name, Number(duration)]]
    }),
  )
}
