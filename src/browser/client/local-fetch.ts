import { VergeError } from '../../client/error.ts'
import type { FetchLike } from '../../client/runtime.ts'
import { JSON_LENGTH_HEADER } from '../../client/tensors.ts'
import type { LocalRequest } from '../messages.ts'
import type { BrowserModel } from './browser-model.ts'

/** What `fetch` would be answered, by a model in this browser. The client on top of it is the same as for the edge. */
export function localFetch(model: BrowserModel): FetchLike {
  return async (url, { body, headers, signal }) => {
    const { pathname, search } = new URL(url)
    const sent = new Headers(headers)
    const jsonLength = sent.get(JSON_LENGTH_HEADER)
    const request = {
      route: routeOf(pathname),
      contentType: sent.get('content-type') ?? (body instanceof Blob ? body.type : ''),
      query: withoutVersion(search),
      ...(jsonLength !== null && { jsonLength: Number(jsonLength) }),
    }
    const answer = await model
      .ask(request, () => bytesOf(body), signal ?? undefined)
      .catch((error: unknown) => {
        // As `fetch` does: whether the caller left, or the time is over, is for the client to say.
        signal?.throwIfAborted()
        throw error
      })
    return new Response(answer.body, { status: answer.status, headers: answer.headers })
  }
}

function routeOf(pathname: string): LocalRequest['route'] {
  if (pathname.endsWith('/v1/embeddings')) return 'embed'
  return pathname.endsWith('/infer') ? 'infer' : 'run'
}

/** Which version it is has been decided. */
function withoutVersion(search: string): string {
  const query = new URLSearchParams(search)
  query.delete('version')
  return query.toString()
}

/** Memory that may be given away: the caller keeps what it sent. */
async function bytesOf(body: RequestInit['body']): Promise<LocalRequest['body']> {
  if (typeof body === 'string') return body
  if (body instanceof Blob) return new Uint8Array(await body.arrayBuffer())
  if (body instanceof ArrayBuffer) return new Uint8Array(body.slice(0))
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength).slice()
  throw new VergeError('invalid_request', 'A request without bytes cannot run in the browser.')
}
