import { VergeError } from '../core/errors.ts'
import { LIMITS } from '../core/limits.ts'
import type { Tensors } from '../core/tensors.ts'
import { parseJsonLength } from '../protocols/oip/binary.ts'
import { readError } from '../protocols/oip/error.ts'
import { JSON_LENGTH_HEADER } from '../protocols/oip/headers.ts'
import { readInferAnswer } from '../protocols/oip/read-answer.ts'
import { inferPath, writeInferRequest } from '../protocols/oip/write-request.ts'

export interface ClientInferOptions {
  /** Requested outputs; default: all. */
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
export interface ClientInferRequest {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array<ArrayBuffer>
}

/** Writes a request with binary tensors both ways. */
export function inferRequest(model: string, inputs: Tensors, options: ClientInferOptions = {}): ClientInferRequest {
  const { body, headers } = writeInferRequest(inputs, { binary: true, outputs: options.outputs })
  return { path: inferPath(model, options.version), headers: { ...options.headers, ...headers }, body }
}

/**
 * Sends a request and reads its answer.
 * @throws VergeError with the server's own code and words unless it answers 200
 */
export async function send(url: string, request: ClientInferRequest, signal?: AbortSignal): Promise<Inferred> {
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
    outputs: readOutputs(bytes, response.headers.get(JSON_LENGTH_HEADER)),
    ms,
    timings: serverTiming(response.headers.get('server-timing')),
  }
}

/** The server belongs to the operator, so only the size of its answer is bounded. */
export function readOutputs(bytes: Uint8Array<ArrayBuffer>, header: string | null): Tensors {
  const limits = { tensors: LIMITS.tensorsPerRequest, rank: LIMITS.tensorRank, elements: bytes.length }
  return readInferAnswer(bytes, header === null ? undefined : (parseJsonLength(header) ?? 0), { limits })
}

function failure(status: number, bytes: Uint8Array): VergeError {
  const text = new TextDecoder().decode(bytes.subarray(0, 2000))
  const { code, error } = readError(text)
  if (error !== undefined && code !== undefined) {
    return new VergeError(code as VergeError['code'], error, { details: { status } })
  }
  return new VergeError('internal', `The Worker answered HTTP ${status}: ${text.slice(0, 300)}`, {
    details: { status },
  })
}

/** A `Server-Timing` header's parts in milliseconds; a part that measured nothing is absent. */
export function serverTiming(header: string | null | undefined): Readonly<Record<string, number>> {
  const parts = (header ?? '').split(',')
  return Object.fromEntries(
    parts.flatMap((part) => {
      const [, name, duration] = /^\s*([\w-]+);dur=([\d.]+)\s*$/.exec(part) ?? []
      return name === undefined ? [] : [[name, Number(duration)]]
    }),
  )
}
