import { type ErrorCode, VergeError } from '../../core/errors.ts'
import { isObject } from '../../core/objects.ts'
import { weightsPath } from '../../protocols/browser/wire.ts'
import { readAtMost } from '../../weights/body.ts'
import type { WeightsLimits } from './limits.ts'

/** As much of `fetch` as is used. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

export interface WeightsHttpOptions {
  /** Address of the Worker, without a slash at its end. */
  readonly base: string
  readonly key?: string | undefined
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
    const { base, fetch, key, limits } = this.#options
    const { model, sha256, version } = address
    const ranged = from > 0 || to !== undefined
    const response = await fetch(base + weightsPath(model, sha256, version), {
      signal,
      headers: {
        ...(key !== undefined && { authorization: `Bearer ${key}` }),
        ...(ranged && { range: `bytes=${from}-${to === undefined ? '' : to - 1}`, 'if-range': `"${sha256}"` }),
      },
      ...(fresh && { cache: 'no-store' as const }),
    })
    if (response.body === null || (response.status !== 200 && response.status !== 206)) {
      throw await refusal(response, limits.errorBytes)
    }
    return { from: response.status === 206 ? startOf(response, from) : 0, body: response.body }
  }
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
