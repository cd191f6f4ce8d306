import type { Place } from '../models.ts'
import type { Answer, PanelRequest } from '../panels/request.ts'
import { type Agreement, agreement, p50 } from './agreement.ts'
import { placeLabel } from './placement.ts'

/** Runs at each place whose median is shown; one run before them loads the model and does not count. */
export const RUNS = 5

/** How one place did. */
export interface PlaceResult {
  readonly place: Place
  /** Runs that are over, without the first. */
  readonly runs: number
  /** Milliseconds of the first run, which may load the model. */
  readonly firstMs: number | undefined
  readonly p50Ms: number | undefined
  /** With the answer of the first place that answered; undefined for that one. */
  readonly agreement: Agreement | undefined
  readonly failure: string | undefined
}

/** Whether the answer is a text that the model writes. */
function isText({ method }: PanelRequest): boolean {
  return method === 'chat' || method === 'complete'
}

/** The places that answer a request: texts and rankings are the Worker's. */
export function placesFor(request: PanelRequest, places: readonly Place[]): readonly Place[] {
  return isText(request) || request.method === 'rerank' ? places.filter((place) => place !== 'browser') : places
}

/** Whether a text that a model writes depends on chance. */
function isRandom(request: PanelRequest): boolean {
  const { parameters } = request
  return isText(request) && parameters?.seed === undefined && parameters?.temperature !== 0
}

/** The same request at each place: with a seed where chance would make each answer another. */
export function comparable(request: PanelRequest): PanelRequest {
  return isRandom(request) ? { ...request, parameters: { ...request.parameters, seed: 1 } } : request
}

/** What a picture shows, whatever its compression. */
export type PixelsOf = (picture: Blob) => Promise<ArrayLike<number>>

export type Ask = (request: PanelRequest, place: Place, signal: AbortSignal) => Promise<Answer>

/**
 * Runs one request at several places, one after the other, so that no place waits for another's.
 * @param progress called with all places after each run
 * @param pixelsOf levels of red, green, blue and alpha, from 0 to 255
 */
export async function compare(
  request: PanelRequest,
  places: readonly Place[],
  ask: Ask,
  signal: AbortSignal,
  progress: (results: readonly PlaceResult[]) => void,
  pixelsOf: PixelsOf,
): Promise<void> {
  const same = comparable(request)
  const results = new Map<Place, PlaceResult>()
  let reference: { readonly output: unknown } | undefined
  const show = (result: PlaceResult): void => {
    results.set(result.place, result)
    if (!signal.aborted) progress([...results.values()])
  }
  for (const place of places) {
    let result: PlaceResult = {
      place,
      runs: 0,
      firstMs: undefined,
      p50Ms: undefined,
      agreement: undefined,
      failure: undefined,
    }
    show(result)
    const times: number[] = []
    try {
      for (let run = 0; run <= RUNS; run++) {
        const answer = await ask(same, place, signal)
        if (signal.aborted) return
        if (answer.place !== place) throw new Error(`${placeLabel(answer.place)} instead: this place could not answer.`)
        if (run === 0) {
          const { output } = answer
          const agrees = reference && (await outputAgreement(reference.output, output, pixelsOf))
          reference ??= { output }
          result = { ...result, firstMs: answer.ms, agreement: agrees }
        } else {
          times.push(answer.ms)
          result = { ...result, runs: run, p50Ms: p50(times) }
        }
        show(result)
      }
    } catch (error) {
      if (signal.aborted) return
      show({ ...result, failure: error instanceof Error ? error.message : String(error) })
    }
  }
}

/** The same bytes, or as far apart as the pictures that they hold. */
async function outputAgreement(left: unknown, right: unknown, pixelsOf: PixelsOf): Promise<Agreement> {
  if (!(left instanceof Blob) || !(right instanceof Blob)) return agreement(left, right)
  const [bytes, others] = await Promise.all([bytesOf(left), bytesOf(right)])
  if (agreement(bytes, others).kind === 'same') return { kind: 'same' }
  const [pixels, otherPixels] = await Promise.all([pixelsOf(left), pixelsOf(right)])
  return agreement(pixels, otherPixels)
}

async function bytesOf(blob: Blob): Promise<Uint8Array> {
  return new Uint8Array(await blob.arrayBuffer())
}
