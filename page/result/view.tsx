import type { Code } from '../code/view.tsx'
import { CodeView } from '../code/view.tsx'
import type { ModelInfo, Place } from '../models.ts'
import type { Answer, PanelRequest } from '../panels/request.ts'
import { Compare } from './compare.tsx'
import { placesFor } from './comparison.ts'
import { Explanation } from './explanation.tsx'
import { Facts } from './facts.tsx'
import './result.css'
import { parseServerTiming } from './server-timing.ts'
import { textWaterfall, waterfall } from './waterfall.ts'
import { WaterfallView } from './waterfall-view.tsx'

export interface ResultProps {
  readonly model: ModelInfo
  readonly answer: Answer
  /** What code needs beside the request. */
  readonly code: Code
  /** Runs a request at one place, past the result cache. @throws VergeError */
  readonly ask: (request: PanelRequest, place: Place, signal: AbortSignal) => Promise<Answer>
  /** The decision about this model's requests, for the operator; undefined where the page has no key. */
  readonly explain: ((request: PanelRequest, signal: AbortSignal) => Promise<unknown>) | undefined
}

/** What happened to the last request: how long it took, where it ran and why, and the code that sends it again. */
export function ResultView({ answer, ask, code, explain, model }: ResultProps) {
  const { info, ms, place, request } = answer
  const drawn =
    answer.text === undefined
      ? waterfall(parseServerTiming(info.serverTiming), ms, place)
      : textWaterfall(answer.text, ms)
  const places = placesFor(request, model.places)
  return (
    <section class="result" aria-labelledby="result-title">
      <h2 class="result-title" id="result-title">
        What happened
      </h2>
      <WaterfallView drawn={drawn} />
      <Facts answer={answer} model={model} />
      {explain !== undefined && <Explanation key={request} explain={(signal) => explain(request, signal)} />}
      {places.length > 1 && <Compare ask={ask} places={places} request={request} />}
      <CodeView code={{ ...code, answered: place, picture: answer.output instanceof Blob }} request={request} />
    </section>
  )
}
