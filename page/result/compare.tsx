import { useEffect, useRef, useState } from 'preact/hooks'
import type { Place } from '../models.ts'
import type { PanelRequest } from '../panels/request.ts'
import { Button, Scroll } from '../ui/index.ts'
import { agreementText } from './agreement.ts'
import { type Ask, comparable, compare, type PlaceResult, RUNS } from './comparison.ts'
import { placeLabel } from './placement.ts'
import { duration } from './waterfall.ts'

interface Props {
  readonly request: PanelRequest
  readonly places: readonly Place[]
  readonly ask: Ask
}

/** The last request at every place where the model runs: times, and whether the answers agree. */
export function Compare({ ask, places, request }: Props) {
  const [results, setResults] = useState<readonly PlaceResult[]>([])
  const [running, setRunning] = useState(false)
  const [complete, setComplete] = useState(false)
  const aborter = useRef<AbortController | undefined>(undefined)
  // What was measured is about the request that was sent then.
  useEffect(() => {
    setResults([])
    setRunning(false)
    setComplete(false)
    return () => aborter.current?.abort()
  }, [request])
  const start = (): void => {
    const mine = new AbortController()
    aborter.current = mine
    setRunning(true)
    setComplete(false)
    void compare(request, places, ask, mine.signal, setResults, pixelsOf).then(() => {
      if (mine.signal.aborted) return
      setRunning(false)
      setComplete(true)
    })
  }
  const stop = (): void => {
    aborter.current?.abort()
    setRunning(false)
  }
  return (
    <div class="compare">
      <h3 class="result-subtitle">Side by side</h3>
      <p class="result-note">
        The same request at each place, once to load the model and {RUNS} times to measure, past the result cache.
        {comparable(request) !== request && ' A seed makes chance the same everywhere.'}
      </p>
      <div>
        {running ? <Button onClick={stop}>Stop</Button> : <Button onClick={start}>Compare {listed(places)}</Button>}
      </div>
      {results.length > 0 && (
        <Scroll label="Comparison of places">
          <table class="facts-table result-table">
            <thead>
              <tr>
                <th scope="col">Place</th>
                <th scope="col">First run</th>
                <th scope="col">Median of {RUNS}</th>
                <th scope="col">Answer</th>
              </tr>
            </thead>
            <tbody>
              {results.map((result) => (
                <Row key={result.place} result={result} running={running} />
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      <p class="only-read-aloud" role="status">
        {complete && 'The comparison is complete.'}
        {!complete && !running && results.length > 0 && 'The comparison was stopped.'}
      </p>
    </div>
  )
}

async function pixelsOf(picture: Blob): Promise<ArrayLike<number>> {
  const bitmap = await createImageBitmap(picture)
  const { height, width } = bitmap
  const context = new OffscreenCanvas(width, height).getContext('2d')
  context?.drawImage(bitmap, 0, 0)
  bitmap.close()
  return context?.getImageData(0, 0, width, height).data ?? []
}

/** "edge, origin and browser" */
function listed(places: readonly Place[]): string {
  return [places.slice(0, -1).join(', '), places.at(-1)].join(' and ')
}

function Row({ result, running }: { readonly result: PlaceResult; readonly running: boolean }) {
  const { firstMs, p50Ms, place, runs } = result
  return (
    <tr>
      <th scope="row">{placeLabel(place)}</th>
      <td>{firstMs === undefined ? '' : duration(firstMs)}</td>
      <td>
        {p50Ms === undefined ? '' : duration(p50Ms)}
        {p50Ms !== undefined && runs < RUNS && ` (${runs})`}
      </td>
      <td class="result-prose">{answerWords(result, running)}</td>
    </tr>
  )
}

function answerWords({ agreement, failure, firstMs }: PlaceResult, running: boolean): string {
  if (failure !== undefined) return failure
  if (firstMs === undefined) return running ? 'running' : 'stopped'
  return agreement === undefined ? 'the one to compare with' : agreementText(agreement)
}
