import { type Context, Hono } from 'hono'
import * as z from 'zod'
import { type Caller, callerFor } from '../../access/authorize.ts'
import { VergeError } from '../../core/errors.ts'
import { validate } from '../../core/validation.ts'
import { type Access, resolveVersion, shownTo, visibleModel } from '../../inference/access.ts'
import { MeteredRequest } from '../../inference/metered.ts'
import { ObservedRequest } from '../../inference/observed.ts'
import { STATUS } from '../../protocols/status.ts'
import { agreedProtocol, assertOffered, bearerOf, offeredProtocols } from '../../stream/protocols.ts'
import { refusedSocket } from '../../stream/refused-socket.ts'
import { vadSettings } from '../../stream/vad-stream.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'
import { stickyIn } from '../middleware/call.ts'
import { callerOf } from '../middleware/caller.ts'
import { reportedError } from '../middleware/errors.ts'
import { streamTrace } from '../middleware/trace.ts'
import { allowedOrigin } from './origin.ts'

const number = z
  .string()
  .regex(/^\d{1,6}(\.\d{1,6})?$/, 'must be a number')
  .transform(Number)
const share = number.pipe(z.number().min(0).max(1)).optional()
const duration = number.pipe(z.number().max(60_000)).optional()

/** The query of a stream: the parameters of voice activity detection, which stay as they are until it ends. */
const querySchema = z.strictObject({
  version: z.string().optional(),
  probabilities: z
    .enum(['true', 'false'])
    .default('true')
    .transform((text) => text === 'true'),
  threshold: share,
  neg_threshold: share,
  min_speech_duration_ms: duration,
  min_silence_duration_ms: duration,
  speech_pad_ms: duration,
})

/**
 * Sound as it is spoken under /stream/{model}: a WebSocket takes samples and answers while they come. What is refused is
 * refused inside of a WebSocket, to every client in the same way; only a request that is no WebSocket gets HTTP.
 */
export function streamRoutes(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/:model', async (c) => {
    if (c.req.header('upgrade')?.toLowerCase() !== 'websocket') {
      throw new VergeError('upgrade_required', 'This route is a WebSocket. Connect with ws:// or wss://.')
    }
    const offered = offeredProtocols(c.req.header('sec-websocket-protocol'))
    const headers = agreedProtocol(offered)
    try {
      const webSocket = await opened(deps, c, offered)
      return switching(webSocket, headers)
    } catch (thrown) {
      const { refuseSocket } = deps
      if (refuseSocket === undefined) throw thrown
      c.set('refused', true)
      const error = shownTo(c.get('caller'), reportedError(deps.logger, c, thrown))
      const webSocket = refuseSocket(refusedSocket(error, STATUS[error.code], c.get('requestId')))
      return switching(webSocket, headers)
    }
  })
  return app
}

/** Hands a socket over to the client. */
function switching(webSocket: Response['webSocket'], headers: Record<string, string>): Response {
  const init: ResponseInit = { status: 101, webSocket, headers }
  return new Response(null, init)
}

async function opened(deps: AppDeps, c: Context<AppEnv>, offered: readonly string[]): Promise<Response['webSocket']> {
  // Browsers let any page open a WebSocket anywhere; it is the server that has to look who asks.
  if (!allowedOrigin(c.req.header('origin'), c.req.url, deps.config.corsOrigins)) {
    throw new VergeError(
      'forbidden',
      'Pages of this origin may not open streams. The operator of Verge must add the origin to CORS_ALLOW.',
    )
  }
  assertOffered(offered)
  const caller = await openedBy(deps, c, offered)
  const context = { ...c.get('context'), sticky: stickyIn(c, caller) }
  const access = { ...accessOf(deps, c), caller, context, via: 'stream' }
  // A stream is counted when it is opened. Its messages are paid for as they are heard.
  const observed = ObservedRequest.begin(deps, access, { via: 'stream' })
  let metered: MeteredRequest | undefined
  try {
    metered = deps.metering && (await MeteredRequest.begin(deps.metering, access, false))
    const webSocket = await openedFor(deps, c, access, { metered, observed })
    metered?.finish()
    observed?.finish()
    return webSocket
  } catch (error) {
    metered?.finish(error)
    observed?.finish(error)
    throw error
  }
}

async function openedFor(
  deps: AppDeps,
  c: Context<AppEnv>,
  access: Access,
  {
    metered,
    observed,
  }: { readonly metered?: MeteredRequest | undefined; readonly observed?: ObservedRequest | undefined },
): Promise<Response['webSocket']> {
  const alias = await visibleModel(access, c.req.param('model') ?? '')
  observed?.found(alias.model)
  const granted = metered?.forModel(alias.model)
  if (granted !== undefined) await granted
  const { version, probabilities, ...speech } = validate(querySchema, c.req.query(), 'The query')
  const { manifest } = await resolveVersion(access, alias, version)
  const { audio, window } = vadSettings(manifest, { speech, probabilities }, deps.limits.streamStateBytes)
  if (deps.streams === undefined) {
    throw new VergeError(
      'streams_unavailable',
      'Streams are not configured. The operator must bind STREAMS in wrangler.toml.',
    )
  }
  const { webSocket } = await deps.streams.open({
    model: manifest.model,
    version: manifest.version,
    caller: callerFor(access.caller, manifest.model),
    ...(access.facts && { facts: access.facts }),
    requestId: access.context.requestId,
    ...(deps.tracer && { trace: streamTrace(c, deps.tracer, access.caller) }),
    sampleRate: audio.sampleRate,
    windowLength: window.length,
    speech,
    probabilities,
  })
  return webSocket
}

/** Who opens a stream: browsers cannot send `Authorization` with a WebSocket, so the key may come as a protocol. */
async function openedBy({ credentials }: AppDeps, c: Context<AppEnv>, offered: readonly string[]): Promise<Caller> {
  const token = bearerOf(offered)
  return token === undefined ? c.get('caller') : callerOf(credentials, c, token)
}
