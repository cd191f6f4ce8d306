import { VergeError } from '../../core/errors.ts'
import type { Origin, OriginRequest } from '../origin.ts'
import type { Rewriting } from './answer.ts'
import { type ExchangeDeps, exchange } from './exchange.ts'
import { FieldRenamer, type Names, renamed, renamedEvents } from './rename.ts'

/**
 * Has a server of OpenAI's kind (vLLM, text-embeddings-inference) answer under our name for the model: the request's
 * `model` becomes the origin's name for it, and the answer's, in JSON and in each event, becomes ours. For
 * `/v1/chat/completions`, `/v1/completions`, `/v1/embeddings` and `/rerank`.
 * @param request its body read whole; it has been seen to be JSON with a `model`
 * @throws what `exchange` throws
 */
export function exchangeOpenAi(
  origin: Origin,
  request: OriginRequest,
  { ours, theirs }: Names,
  deps: ExchangeDeps,
): Promise<Response> {
  const { body } = request
  if (body instanceof ReadableStream) {
    throw new VergeError('internal', 'A body that names its model must be read before it is sent on.')
  }
  // Also where both names are the same: a body may name its model twice, and the origin take the one that was not seen.
  const headers = new Headers(request.headers)
  headers.set('content-type', 'application/json')
  const named = { ...request, headers, body: body === null ? null : renamed(body, 'model', theirs) }
  return exchange(origin, named, deps, ours === theirs ? undefined : renaming('model', ours))
}

function renaming(field: string, ours: string): Rewriting {
  return {
    json() {
      const renamer = new FieldRenamer(field, ours)
      return (piece) => renamer.push(piece)
    },
    events: (events) => renamedEvents(events, field, ours),
  }
}
