import { type Context, Hono } from 'hono'
import { VergeError } from '../../core/errors.ts'
import { identityStream } from '../../core/identity-stream.ts'
import { type DownloadableChunk, downloadableChunk } from '../../inference/browser.ts'
import type { Admission } from '../../serving/admission.ts'
import type { ChunkPassage } from '../../weights/passage.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { namesTag } from '../etag.ts'
import { accessOf } from '../inference.ts'
import { type BodyRange, rangeOf } from './ranges.ts'

/** What gives weights to browsers. */
export interface Downloads {
  readonly chunks: ChunkPassage
  /** Apart from that of inferences: a slot for each chunk on its way. */
  readonly admission: Admission
}

const SHA256 = /^[0-9a-f]{64}$/
const NO_CACHE = /(^|[,\s])(no-cache|no-store)\b/i

/**
 * Chunks of weights and files for browsers, under /weights/{model}/{sha256}: whole or a range of it, as the store streams
 * it. A digest is given out only where a downloadable version of the model lists it.
 */
export function weightsRoutes(deps: AppDeps, downloads: Downloads): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/:model/:sha256', async (c) => {
    const { model, sha256 } = c.req.param()
    if (!SHA256.test(sha256))
      throw new VergeError('not_found', 'A chunk has a name of 64 lower-case hexadecimal digits.')
    const chunk = await downloadableChunk(accessOf(deps, c), model, c.req.query('version'), sha256)
    return give(deps, downloads, c, chunk)
  })
  return app
}

async function give(
  deps: AppDeps,
  downloads: Downloads,
  c: Context<AppEnv>,
  chunk: DownloadableChunk,
): Promise<Response> {
  const { signal } = c.get('context')
  const headers = headersOf(chunk)
  if (namesTag(c.req.header('if-none-match'), headers.etag)) return answer(c, chunk, null, 304, headers)
  const range = rangeAsked(c, chunk.bytes, headers.etag)
  if (range === 'unsatisfiable') {
    return new Response(null, { status: 416, headers: { ...headers, 'content-range': `bytes */${chunk.bytes}` } })
  }
  const sized = { ...headers, 'content-type': 'application/octet-stream', ...sizeOf(chunk, range) }
  const status = range === undefined ? 200 : 206
  if (c.req.method === 'HEAD') {
    await downloads.chunks.assertStored(chunk, { signal })
    return answer(c, chunk, null, status, sized)
  }
  return answer(c, chunk, await bodyOf(deps, downloads, c, chunk, range), status, sized)
}

/** A range counts only for the very bytes that its sender has the beginning of (RFC 9110, 13.1.5). */
function rangeAsked(c: Context<AppEnv>, bytes: number, etag: string): BodyRange | 'unsatisfiable' | undefined {
  const only = c.req.header('if-range')
  return only === undefined || only.trim() === etag ? rangeOf(c.req.header('range'), bytes) : undefined
}

/** The store's stream, passed on by the platform. A store that breaks off breaks the connection. */
async function bodyOf(
  { logger }: AppDeps,
  { admission, chunks }: Downloads,
  c: Context<AppEnv>,
  chunk: DownloadableChunk,
  range: BodyRange | undefined,
): Promise<ReadableStream<Uint8Array>> {
  const requestId = c.get('requestId')
  const { signal, waitUntil } = c.get('context')
  const ticket = admission.enter(requestId)
  try {
    // `fetch` with `cache: 'reload'` says so: whoever found a copy damaged asks the truth
    const truthOnly = !chunk.copied || NO_CACHE.test(c.req.header('cache-control') ?? '')
    const body = await chunks.open(chunk, { range, signal, truthOnly })
    const { readable, writable } = identityStream(range?.length ?? chunk.bytes)
    const passing = body.pipeTo(writable).catch((reason: unknown) => {
      logger.info('download_broken', { requestId, sha256: chunk.sha256, reason: String(reason) })
    })
    // A caller who leaves ends it too.
    waitUntil(passing.finally(() => ticket.leave()))
    return readable
  } catch (error) {
    ticket.leave()
    throw error
  }
}

function answer(
  c: Context<AppEnv>,
  { open }: DownloadableChunk,
  body: ReadableStream<Uint8Array> | null,
  status: number,
  headers: Readonly<Record<string, string>>,
): Response {
  c.set('cacheControl', `${open ? 'public' : 'private'}, max-age=31536000, immutable`)
  return new Response(body, { status, headers })
}

function headersOf({ open, sha256 }: DownloadableChunk) {
  return {
    etag: `"${sha256}"`,
    'accept-ranges': 'bytes',
    // caches of browsers keep an answer for pages of other origins too, which need headers of their own
    vary: open ? 'origin' : 'origin, authorization',
  }
}

function sizeOf({ bytes }: DownloadableChunk, range: BodyRange | undefined): Record<string, string> {
  if (range === undefined) return { 'content-length': String(bytes) }
  const { offset, length } = range
  return { 'content-length': String(length), 'content-range': `bytes ${offset}-${offset + length - 1}/${bytes}` }
}
