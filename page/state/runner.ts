import type { AnswerInfo, VergeClient } from '../../src/client/page.ts'
import type { Place } from '../models.ts'
import type { Answer, PanelRequest, StreamedText } from '../panels/request.ts'
import { parsePlacement } from '../result/placement.ts'

/** Where a visitor wants models to run. */
export type PlaceChoice = 'auto' | Place

/** What the browser's client runs itself, or hands on; all other methods go to the Worker. */
export type LocalClient = Pick<VergeClient, 'run' | 'embed' | 'infer'>

export interface RunContext {
  readonly model: string
  readonly place: PlaceChoice
  readonly signal: AbortSignal
  readonly client: VergeClient
  /** The client that can run this model in the browser, too, downloaded when it is first needed; absent where none can. */
  readonly browser?: (() => Promise<LocalClient>) | undefined
  /** Milliseconds, from any beginning. */
  readonly now: () => number
  /** Past the result cache. */
  readonly fresh?: boolean
  /** Called with each part of a text. */
  readonly onPart?: (answer: Answer) => void
}

const LOCAL: ReadonlySet<PanelRequest['method']> = new Set(['run', 'embed', 'infer'])

const NOTHING_SAID: AnswerInfo = {
  status: 200,
  requestId: undefined,
  model: undefined,
  placement: undefined,
  cache: undefined,
  serverTiming: undefined,
  attempts: 1,
}

/** Runs what a panel asks. @throws VergeError */
export async function perform(request: PanelRequest, context: RunContext): Promise<Answer> {
  const { client, model, now, onPart, signal } = context
  const begun = now()
  let info: AnswerInfo = NOTHING_SAID
  let streamed: StreamedText | undefined
  const answerOf = (output: unknown): Answer => ({
    request,
    output,
    info,
    ms: now() - begun,
    place: placeOf(info),
    text: streamed,
  })
  const local = LOCAL.has(request.method) ? await localClient(context) : undefined
  const place = local === undefined && context.place === 'browser' ? 'auto' : context.place
  const options = {
    signal,
    onAnswer: (said: AnswerInfo) => {
      info = said
    },
    ...(request.parameters && { parameters: request.parameters as Readonly<Record<string, never>> }),
    ...((local !== undefined || place !== 'auto') && { place }),
    ...(context.fresh && { cache: 'no-cache' as const }),
  }
  if (request.method === 'chat' || request.method === 'complete') {
    const text =
      request.method === 'chat'
        ? client.chat(model, request.input as string, options)
        : client.complete(model, request.input as string, options)
    let written = ''
    for await (const part of text) {
      written += part.text
      streamed = {
        firstMs: streamed?.firstMs ?? now() - begun,
        finishReason: part.finishReason ?? streamed?.finishReason,
        tokens: part.usage?.completion_tokens ?? streamed?.tokens,
      }
      onPart?.(answerOf(written))
    }
    return answerOf(written)
  }
  return answerOf(await wholeAnswer({ ...client, ...local }, model, request, options))
}

/** Whoever leaves the place to the page has an answer from the Worker where the browser's client cannot be loaded. */
async function localClient({ browser, place }: RunContext): Promise<LocalClient | undefined> {
  if (place === 'browser') return browser?.()
  return place === 'auto' ? browser?.().catch(() => undefined) : undefined
}

/** The input is what the panel of the model's task made. */
function wholeAnswer(
  client: Pick<VergeClient, 'run' | 'embed' | 'rerank' | 'infer'>,
  model: string,
  { input, method }: PanelRequest,
  options: object,
): Promise<unknown> {
  switch (method) {
    case 'embed':
      return client.embed(model, input as string, options)
    case 'rerank': {
      const { documents, query } = input as { readonly query: string; readonly documents: readonly string[] }
      return client.rerank(model, query, documents, options)
    }
    case 'infer':
      return client.infer(model, input as Parameters<VergeClient['infer']>[1], options)
    default:
      return client.run(model, input as Parameters<VergeClient['run']>[1], options)
  }
}

function placeOf({ place, placement }: AnswerInfo): Place {
  if (place !== undefined) return place
  return parsePlacement(placement)?.place === 'origin' ? 'origin' : 'edge'
}
