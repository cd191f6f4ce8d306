import type { Credentials } from '../../client/credentials.ts'
import { failureIn, unexpected, VergeError } from '../../client/error.ts'
import type { ClientClock, FetchLike } from '../../client/runtime.ts'

/** A version that may run in browsers, as `GET /browser/{model}` describes it. */
export interface Plan {
  readonly model: string
  readonly version: string
  /** SHA-256 of the version's manifest. */
  readonly digest: string
  /** All of the answer: the web worker checks and reads it. */
  readonly answer: unknown
}

export interface PlansOptions {
  /** Without a slash at its end. */
  readonly base: string
  readonly credentials: Credentials
  readonly fetch: FetchLike
  readonly clock: ClientClock
}

/** @throws VergeError */
export async function fetchPlan(
  options: PlansOptions,
  model: string,
  version: string | undefined,
  signal: AbortSignal,
): Promise<Plan> {
  const query = version === undefined ? '' : `?version=${encodeURIComponent(version)}`
  const response = await authorized(options, `${options.base}/browser/${encodeURIComponent(model)}${query}`, signal)
  if (!response.ok) throw await failureIn(response, options.clock.now())
  let answer: unknown
  try {
    answer = await response.json()
  } catch (cause) {
    throw cause instanceof SyntaxError ? unexpected('it is not JSON', response, cause) : broken(cause, signal)
  }
  const { digest, model: name, version: found } = (answer ?? {}) as Partial<Record<string, unknown>>
  if (typeof digest !== 'string' || typeof name !== 'string' || typeof found !== 'string') {
    throw unexpected('it does not describe a model for browsers', response)
  }
  return { model: name, version: found, digest, answer }
}

/** The answer to a GET, asked for once more where the server refuses the token and there is a newer one. */
async function authorized({ credentials, fetch }: PlansOptions, url: string, signal: AbortSignal): Promise<Response> {
  const get = (credential: string | undefined): Promise<Response> =>
    fetch(url, { signal, headers: credential === undefined ? {} : { authorization: `Bearer ${credential}` } })
  try {
    const credential = await credentials.current()
    const response = await get(credential)
    if (response.status !== 401 || credential === undefined) return response
    const other = await credentials.renewed(credential)
    return other === undefined ? response : await get(other)
  } catch (cause) {
    throw cause instanceof VergeError ? cause : broken(cause, signal)
  }
}

function broken(cause: unknown, signal: AbortSignal): VergeError {
  if (signal.aborted) return new VergeError('cancelled', 'The signal of the call ended it.', { cause: signal.reason })
  return new VergeError(
    'network_error',
    'The connection to the server failed. Check the url and the network, and try again.',
    { cause },
  )
}
