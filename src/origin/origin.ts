import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer, type HttpBindings } from '@hono/node-server'
import type { Caller } from '../access/authorize.ts'
import { importKey } from '../access/signature.ts'
import { VergeError } from '../core/errors.ts'
import { type Logger, systemClock } from '../core/runtime.ts'
import { VERSION } from '../version.ts'
import { adminServer } from './admin.ts'
import { assemble, type OriginParts } from './assemble.ts'
import { type Connection, gateway } from './gateway.ts'
import { InFlight } from './in-flight.ts'
import { OriginReadiness } from './readiness.ts'
import type { OriginSettings } from './settings.ts'
import { type SignedRequest, SignedRequests } from './signed.ts'

export interface RunningOrigin {
  readonly port: number
  readonly adminPort: number
  /** Resolves when requests may come; rejects when the origin is closed before. */
  readonly ready: Promise<void>
  /** Takes no more requests and waits for those in work. @returns whether all were answered in time */
  drain(): Promise<boolean>
  /** Cancels remaining requests, and ends. */
  close(): Promise<void>
}

/**
 * Cloudflare keeps idle connections longer than Node's five seconds; a connection that the origin closes first costs a
 * retry.
 */
const KEEP_ALIVE_MS = 75_000
/** A Worker's isolates each keep a few; far fewer than file descriptors. */
const CONNECTIONS = 4_096

/**
 * Starts an origin: its API for Workers on one port, and health and metrics on another. It listens at once, and is ready
 * when the catalogue has been read and the models to preload are in memory.
 * @throws VergeError for a key that is too short; what listening fails with
 */
export async function startOrigin(settings: OriginSettings, logger: Logger): Promise<RunningOrigin> {
  const clock = systemClock
  const keys = await Promise.all(settings.keys.map(importKey))
  if (keys.length === 0) throw new VergeError('invalid_request', 'An origin needs a key.')
  const signed = new SignedRequests(keys, clock)
  const inFlight = new InFlight(clock)
  const callers = new WeakMap<Request, Caller>()
  const stopped = new AbortController()

  const parts: OriginParts = await assemble(settings, {
    clock,
    logger,
    randomId: randomUUID,
    ready: () => readiness.missing.length === 0 && !inFlight.draining,
    draining: () => inFlight.draining,
    signatures: async (request) => {
      const caller = callers.get(request)
      if (caller === undefined) throw new VergeError('unauthorized', 'The signature was not checked.')
      return caller
    },
  })
  const readiness = new OriginReadiness({ serving: parts.serving, preload: settings.preload, clock, logger })
  const missing = (): readonly string[] => [...readiness.missing, ...(inFlight.draining ? ['draining'] : [])]

  const answer = ({ request, caller }: SignedRequest, connection: Connection): Promise<Response> | Response => {
    callers.set(request, caller)
    return parts.app.fetch(request, connection)
  }
  const handle = gateway({
    signed,
    inFlight,
    clock,
    logger,
    metrics: parts.metrics,
    randomId: randomUUID,
    answer,
    health: (asked, connection) => {
      const { pathname } = new URL(asked.request.url)
      return pathname === '/healthz' ? healthz(parts, inFlight, asked.caller) : answer(asked, connection)
    },
  })
  const server = createAdaptorServer({
    fetch: (request, env) => handle(request, connectionOf(env as HttpBindings)),
    overrideGlobalObjects: false,
    serverOptions: { keepAliveTimeout: KEEP_ALIVE_MS },
  }) as Server
  server.maxConnections = CONNECTIONS
  const health = () => parts.batching.health()
  const admin = adminServer({ health, missing, metrics: parts.metrics, clock, logger })

  const close = async (): Promise<void> => {
    stopped.abort(new VergeError('cancelled', 'The origin was closed.'))
    for (const each of [server, admin]) {
      each.close()
      each.closeAllConnections()
    }
    await parts.close()
  }
  try {
    const port = await listen(server, settings.port, settings.host)
    const adminPort = await listen(admin, settings.adminPort, settings.adminHost)
    logger.info('origin_listening', { version: VERSION, host: settings.host, port, adminPort })
    const ready = prepare(parts, readiness, logger, stopped.signal)
    // Who does not wait for it is told by the log.
    ready.catch(() => {})
    return { port, adminPort, ready, drain: () => inFlight.drain(settings.drainMs), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function prepare(
  parts: OriginParts,
  readiness: OriginReadiness,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  // Also starts the engine's process, and tries its providers.
  const { ok, engine, version, provider, detail } = await parts.batching.health()
  logger[ok ? 'info' : 'error']('engine', { ok, engine, version, provider, detail })
  await readiness.prepare(signal)
  logger.info('origin_ready')
}

/** Health; with a key also the execution provider and the queue. Nothing about models. */
async function healthz({ batching, serving }: OriginParts, inFlight: InFlight, { kind }: Caller): Promise<Response> {
  const { ok, engine, version, provider } = await serving.health()
  const { queued, running } = batching.stats()
  const status = inFlight.draining ? 'draining' : ok ? 'ok' : 'unavailable'
  const figures = { engine, version, provider, queue: queued, running, requests: inFlight.count }
  const body = { status, ...(kind !== 'anonymous' && figures) }
  return Response.json(body, { status: ok ? 200 : 503, headers: { 'cache-control': 'no-store' } })
}

async function listen(server: Server, port: number, host: string): Promise<number> {
  server.listen({ port, host })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

function connectionOf({ incoming, outgoing }: HttpBindings): Connection {
  return { incoming, outgoing }
}
