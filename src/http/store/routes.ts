import { type Context, Hono } from 'hono'
import { authorize } from '../../access/authorize.ts'
import { ALIAS_PREFIX } from '../../catalog/keys.ts'
import { VergeError } from '../../core/errors.ts'
import type { ByteRange, Store, StoredInfo } from '../../weights/store.ts'
import { BYTES_HEADER, ORIGIN_HEADER, ORIGIN_READY } from '../../weights/worker.ts'
import type { AppEnv } from '../app-env.ts'

export interface StoreDeps {
  /** The truth. Absent where weights are not given out: the routes then say that there is nothing. */
  readonly weights?: Store | undefined
  /** Hears of origins that are ready. */
  readonly placement?: { originReady?(): void } | undefined
}

/** Keys that are given out, as the catalogue writes them; nothing else that the bucket may hold. */
const KEYS = [
  /^alias\/[a-z0-9][a-z0-9._-]{0,63}$/,
  /^manifest\/[a-z0-9][a-z0-9._-]{0,63}\/[a-zA-Z0-9][a-zA-Z0-9._-]{0,31}$/,
  /^blob\/sha256\/[0-9a-f]{64}$/,
]
const MOST_CURSOR = 2048

/**
 * The catalogue and its weights for origins, under /store: `GET /store/{key}`, whole or a range of it, as a stream, and
 * `GET /store?list=alias/` for a page of keys. Only for callers who may download every model's weights.
 */
export function storeRoutes(deps: StoreDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/', (c) => list(deps, c))
  app.get('/:key{.+}', (c) => give(deps, c, c.req.param('key')))
  return app
}

async function list(deps: StoreDeps, c: Context<AppEnv>): Promise<Response> {
  const store = granted(deps, c)
  if (c.get('caller').kind === 'origin' && c.req.header(ORIGIN_HEADER) === ORIGIN_READY) deps.placement?.originReady?.()
  const cursor = c.req.query('cursor')
  if (c.req.query('list') !== ALIAS_PREFIX || (cursor?.length ?? 0) > MOST_CURSOR) {
    throw new VergeError('invalid_request', `Only "${ALIAS_PREFIX}" can be listed: GET /store?list=${ALIAS_PREFIX}`, {
      details: { field: 'list' },
    })
  }
  const { signal } = c.get('context')
  const page = await store.list(ALIAS_PREFIX, { cursor, signal })
  return c.json({ keys: page.keys, cursor: page.cursor })
}

async function give(deps: StoreDeps, c: Context<AppEnv>, key: string): Promise<Response> {
  const store = granted(deps, c)
  if (!KEYS.some((pattern) => pattern.test(key))) throw nothing()
  const { signal } = c.get('context')
  if (c.req.method === 'HEAD') {
    const info = await store.head(key, { signal })
    if (info === null) throw nothing()
    return new Response(null, { headers: headersOf(info) })
  }
  const wanted = parseRange(c.req.header('range'))
  if (wanted === undefined) {
    const found = await store.get(key, { signal })
    if (found === null) throw nothing()
    return new Response(found.body, { headers: headersOf(found) })
  }
  const found = await store.get(key, { range: wanted, signal })
  if (found === null) throw nothing()
  const end = Math.min(found.bytes, wanted.offset + (wanted.length ?? found.bytes))
  if (end <= wanted.offset) {
    await found.body.cancel('nothing to read')
    return new Response(null, {
      status: 416,
      headers: { ...headersOf(found), 'content-range': `bytes */${found.bytes}` },
    })
  }
  const range = `bytes ${wanted.offset}-${end - 1}/${found.bytes}`
  return new Response(found.body, { status: 206, headers: { ...headersOf(found), 'content-range': range } })
}

/** @throws unauthorized, forbidden, not_found */
function granted({ weights }: StoreDeps, c: Context<AppEnv>): Store {
  const caller = c.get('caller')
  if (!authorize(caller, null, 'download')) {
    throw caller.kind === 'anonymous'
      ? new VergeError('unauthorized', "Only origins may download weights. Sign the request with an origin's key.")
      : new VergeError('forbidden', 'This caller may not download weights.')
  }
  if (weights === undefined) throw nothing()
  return weights
}

function headersOf(info: StoredInfo): Record<string, string> {
  return {
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
    [BYTES_HEADER]: String(info.bytes),
    ...(info.etag !== undefined && { etag: `"${info.etag}"` }),
  }
}

/** One range with a beginning (RFC 9110, 14.1.2); anything else is answered with the whole, as the RFC allows. */
function parseRange(header: string | undefined): ByteRange | undefined {
  const match = /^bytes=(\d{1,15})-(\d{1,15})?$/.exec(header ?? '')
  if (match === null) return undefined
  const offset = Number(match[1])
  if (match[2] === undefined) return { offset }
  const last = Number(match[2])
  return last < offset ? undefined : { offset, length: last - offset + 1 }
}

function nothing(): VergeError {
  return new VergeError('not_found', 'This key does not exist.')
}
