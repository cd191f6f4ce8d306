import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type Clock, type Logger, untilLate } from '../core/runtime.ts'
import type { EngineHealth } from '../engine/engine.ts'
import type { OriginMetrics } from './metrics.ts'

export interface AdminOptions {
  readonly health: () => Promise<EngineHealth>
  /** Missing conditions for readiness; empty: ready. */
  readonly missing: () => readonly string[]
  readonly metrics: OriginMetrics
  readonly clock: Clock
  readonly logger: Logger
}

/** An engine that does not respond for this long counts as dead; a restart takes a second or two. */
const HEALTH_MS = 5_000

/** For the cluster, on a separate port and without a key: liveness, readiness and metrics. */
export function adminServer(options: AdminOptions): Server {
  return createServer((request, response) => {
    request.resume()
    answer(options, request, response).catch((error: unknown) => {
      options.logger.error('admin_failed', { error })
      if (!response.headersSent) response.writeHead(500)
      response.end()
    })
  })
}

async function answer(options: AdminOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return json(response, 405, { error: 'Use GET.' })
  switch (new URL(request.url ?? '/', 'http://admin').pathname) {
    case '/livez':
      return livez(options, response)
    case '/readyz': {
      const missing = options.missing()
      return json(response, missing.length === 0 ? 200 : 503, { ready: missing.length === 0, missing })
    }
    case '/metrics': {
      const { registry } = options.metrics
      const text = await registry.metrics()
      response.writeHead(200, { 'content-type': registry.contentType }).end(text)
      return
    }
    default:
      return json(response, 404, { error: 'Use /livez, /readyz or /metrics.' })
  }
}

async function livez({ clock, health }: AdminOptions, response: ServerResponse): Promise<void> {
  const late = (): never => {
    throw new Error(`no answer within ${HEALTH_MS} ms`)
  }
  try {
    const { ok, engine, version, provider, recoveries } = await untilLate(health(), HEALTH_MS, clock, late)
    json(response, ok ? 200 : 503, { live: ok, engine, version, provider, recoveries })
  } catch {
    json(response, 503, { live: false })
  }
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}
