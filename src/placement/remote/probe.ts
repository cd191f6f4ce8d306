import { type Origin, OriginFault, type OriginFaultKind, type OriginRequest } from '../origin.ts'
import type { ProbeResult } from '../probing.ts'
import { type ExchangeDeps, exchange } from './exchange.ts'

/**
 * Asks an origin whether it can work, within `originProbeMs`. Never throws: an origin that cannot be asked is not
 * well. What it says of itself beside that is not passed on, but for what computes and how many wait.
 * @param signal ends the probe early
 */
export async function probeOrigin(origin: Origin, signal: AbortSignal, deps: ExchangeDeps): Promise<ProbeResult> {
  const { clock } = deps
  const began = clock.now()
  const hurried = { ...origin, timeouts: hurry(origin, deps.limits) }
  try {
    await askReady(hurried, deps, signal)
  } catch (error) {
    return { ok: false, latencyMs: clock.now() - began, detail: reasonOf(error) }
  }
  const latencyMs = clock.now() - began
  return { ok: true, latencyMs, ...(origin.kind === 'verge' && (await figures(hurried, deps, signal))) }
}

function hurry({ timeouts }: Origin, { originProbeMs }: ExchangeDeps['limits']): Origin['timeouts'] {
  return {
    headersMs: Math.min(timeouts.headersMs, originProbeMs),
    idleMs: Math.min(timeouts.idleMs, originProbeMs),
    totalMs: originProbeMs,
  }
}

async function askReady(origin: Origin, deps: ExchangeDeps, signal: AbortSignal): Promise<void> {
  if (origin.kind !== 'openai') {
    await get(origin, '/v2/health/ready', deps, signal)
    return
  }
  try {
    await get(origin, '/health', deps, signal)
  } catch (error) {
    // OpenAI itself has no such path; vLLM and text-embeddings-inference do.
    if (!(error instanceof OriginFault) || !(error.status === 404 || error.status === 405)) throw error
    await get(origin, '/v1/models', deps, signal)
  }
}

/** What a Verge origin says of its engine, if it does. */
async function figures(
  origin: Origin,
  deps: ExchangeDeps,
  signal: AbortSignal,
): Promise<Pick<ProbeResult, 'provider' | 'queue'>> {
  try {
    const body: unknown = await (await get(origin, '/healthz', deps, signal)).json()
    if (typeof body !== 'object' || body === null) return {}
    const provider = 'provider' in body ? body.provider : undefined
    const queue = 'queue' in body ? body.queue : undefined
    return {
      ...(typeof provider === 'string' && /^[a-z0-9_-]{1,32}$/.test(provider) && { provider }),
      ...(typeof queue === 'number' && Number.isSafeInteger(queue) && queue >= 0 && { queue }),
    }
  } catch {
    return {}
  }
}

/** @throws OriginFault for anything but a success */
async function get(origin: Origin, path: string, deps: ExchangeDeps, signal: AbortSignal): Promise<Response> {
  const request: OriginRequest = {
    method: 'GET',
    path,
    headers: new Headers({ accept: 'application/json' }),
    body: null,
    requestId: '',
    caller: '',
    signal,
  }
  const answer = await exchange(origin, request, deps)
  if (answer.ok) return answer
  throw new OriginFault('garbage', `Origin "${origin.name}" is not ready.`, {
    origin: origin.name,
    status: answer.status,
  })
}

const REASONS: Readonly<Record<OriginFaultKind, string>> = {
  refused: 'cannot be reached',
  'headers-timeout': 'does not answer',
  'body-timeout': 'does not answer',
  'idle-timeout': 'does not answer',
  cut: 'closes the connection',
  'error-status': 'answers with an error',
  overloaded: 'is not ready',
  unable: 'is not ready',
  unauthorized: 'does not accept the credential',
  garbage: 'does not speak its protocol',
  'engine-crash': 'answers with an error',
}

function reasonOf(error: unknown): string {
  if (!(error instanceof OriginFault)) return 'was not asked'
  const status = error.status === undefined ? '' : ` (status ${error.status})`
  return REASONS[error.kind] + status
}
