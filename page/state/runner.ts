import type { AnswerInfo, VergeClient } from '../../src/client/index.ts'
import type { Place } from '../models.ts'
import type { Answer, PanelRequest } from '../panels/request.ts'
import { parsePlacement } from '../result/placement.ts'

/** Where a visitor wants models to run. */
export type PlaceChoice = 'auto' | Place

/** What the browser's engine says of an answer, beside what headers say. */
export interface PlacedInfo extends AnswerInfo {
  readonly place?: Place | undefined
}

/** The methods that the browser's engine has; all others go to the Worker. */
export type LocalClient = Pick<VergeClient, 'run' | 'embed' | 'infer'>

export interface RunContext {
  readonly model: string
  readonly place: PlaceChoice
  readonly signal: AbortSignal
  readonly client: VergeClient
  /** The engine in the browser, downloaded when it is first needed. */
  readonly browser: () => Promise<LocalClient>
  /** Milliseconds, from any beginning. */
  readonly now: () => number
  /** Past the result cache. */
  readonly fresh?: boolean
  /** Called with each part of a text. */
  readonly onPart?: (answer: Answer) => void
}

/** Methods that the browser's engine answers itself. */
const LOCAL: ReadonlySet<PanelRequest['method']> = new Set(['run', 'embed', 'infer'])

const NOTHING_SAID: PlacedInfo = {
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
  const inBrowser = context.place === 'browser' && LOCAL.has(request.method)
  const begun = now()
  let info: PlacedInfo = NOTHING_SAID
  const answerOf = (output: unknown): Answer => ({
    request,
    output,
    info,
    ms: now() - begun,
    place: placeOf(info, inBrowser),
  })
  const place = context.place === 'browser' ? undefined : context.place
  const options = {
    signal,
    onAnswer: (said: PlacedInfo) => {
      info = said
    },
    ...(request.parameters && { parameters: request.parameters as Readonly<Record<string, never>> }),
    ...(place !== undefined && place !== 'auto' && { place }),
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
      onPart?.(answerOf(written))
    }
    return answerOf(written)
  }
  const asked = inBrowser ? { ...client, ...(await context.browser()) } : client
  return answerOf(await wholeAnswer(asked, model, request, options))
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

function placeOf({ place, placement }: PlacedInfo, inBrowser: boolean): Place {
  if (place !== undefined) return place
  if (inBrowser) return 'browser'
  return parsePlacement(placement)?.place === 'origin' ? 'origin' : 'edge'
}
