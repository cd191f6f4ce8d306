import { type ErrorCode, VergeError } from '../../core/errors.ts'
import { isObject } from '../../core/objects.ts'
import { untilAborted } from '../../core/runtime.ts'
import { weightsPath } from '../../protocols/browser/wire.ts'
import { readAtMost } from '../../weights/body.ts'
import type { WeightsLimits } from './limits.ts'

/** As much of `fetch` as is used. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** What requests are authorized with, as clients have it. */
export interface WeightsCredentials {
  /** Undefined: none is needed. */
  current(): Promise<string | undefined>
  /** Another than one that the server refused; undefined where there is none. */
  renewed(refused: string): Promise<string | undefined>
}

export interface WeightsHttpOptions {
  /** Address of the Worker, without a slash at its end. */
  readonly base: string
  /** Absent: none is needed. */
  readonly credentials?: WeightsCredentials | undefined
  readonly fetch: Fetch
  readonly limits: Pick<WeightsLimits, 'errorBytes'>
}

/** Where a blob is requested: the model that lists it, and its version where that was asked for by name. */
export interface BlobAddress {
  readonly model: string
  readonly version?: string | undefined
  readonly sha256: string
}

export interface BlobRequest {
  readonly from?: number
  /** The byte after the last. */
  readonly to?: number
  /** Past every cache of HTTP, which may hold damaged bytes. */
  readonly fresh?: boolean
  readonly signal: AbortSignal
}

export interface OpenedBlob {
  /** Where in the blob the body begins: at 0 where the server sends all of it, whatever was asked for. */
  readonly from: number
  readonly body: ReadableStream<Uint8Array>
}

/** `GET /weights/{model}/{sha256}`: bytes of blobs, unverified. */
export class WeightsHttp {
  readonly #options: WeightsHttpOptions

  constructor(options: WeightsHttpOptions) {
    this.#options = options
  }

  /** @throws what the server refuses with, store_unavailable where it may answer another time, TypeError of `fetch` */
  async open(address: BlobAddress, { fresh, from = 0, signal, to }: BlobRequest): Promise<OpenedBlob> {
    const { base, credentials, fetch, limits } = this.#options
    const { model, sha256, version } = address
    const ranged = from > 0 || to !== undefined
    const get = (credential: string | undefined): Promise<Response> =>
      fetch(base + weightsPath(model, sha256, version), {
        signal,
        headers: {
          ...(credential !== undefined && { authorization: `Bearer ${credential}` }),
          ...(ranged && { range: `bytes=${from}-${to === undefined ? '' : to - 1}`, 'if-range': `"${sha256}"` }),
        },
        ...(fresh && { cache: 'no-store' as const }),
      })
    const response = await authorized(credentials, signal, get)
    if (response.body === null || (response.status !== 200 && response.status !== 206)) {
      throw await refusal(response, limits.errorBytes)
    }
    return { from: response.status === 206 ? startOf(response, from) : 0, body: response.body }
  }
}

/** An answer, asked for once more where the server refuses the credential and there is a newer one. */
async function authorized(
  credentials: WeightsCredentials | undefined,
  signal: AbortSignal,
  get: (credential: string | undefined) => Promise<Response>,
): Promise<Response> {
  if (credentials === undefined) return get(undefined)
  const credential = await untilAborted(credentials.current(), signal)
  const response = await get(credential)
  if (response.status !== 401 || credential === undefined) return response
  const other = await untilAborted(credentials.renewed(credential), signal)
  if (other === undefined) return response
  await response.body?.cancel().catch(() => {})
  return get(other)
}

/** A server that sends another range than it was asked for must not be believed to send the right one. */
function startOf(response: Response, asked: number): number {
  const range = /^bytes (\d{1,15})-/.exec(response.headers.get('content-range') ?? '')
  // A page of another origin does not see the header: what it is asked for is what comes, or the digest is wrong.
  return range === null ? asked : Number(range[1])
}

async function refusal(response: Response, mostBytes: number): Promise<VergeError> {
  const { status } = response
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  const retryAfter = Number.isFinite(seconds) ? { retryAfter: seconds } : {}
  if (status === 429 || status >= 500) {
    await response.body?.cancel().catch(() => {})
    return new VergeError('store_unavailable', `The server answered ${status}. Try again in a moment.`, retryAfter)
  }
  const bytes = response.body === null ? null : await readAtMost(response.body, mostBytes).catch(() => null)
  const { code, message } = errorIn(bytes)
  return new VergeError(code ?? 'weights_unavailable', message ?? `The server answered ${status} for weights.`, {
    details: { status },
  })
}

function errorIn(bytes: Uint8Array | null): { readonly code?: ErrorCode; readonly message?: string } {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes ?? new Uint8Array()))
    const error = isObject(value) && isObject(value.error) ? value.error : {}
    if (typeof error.code !== 'string' || typeof error.message !== 'string') return {}
    return { code: error.code as ErrorCode, message: error.message }
  } catch {
    return {}
  }
}
