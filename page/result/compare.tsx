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
  const aborter = useRef<AbortController | undefined>(undefined)
  // What was measured is about the request that was sent then.
  useEffect(() => {
    setResults([])
    setRunning(false)
    return () => aborter.current?.abort()
  }, [request])
  const start = (): void => {
    const mine = new AbortController()
    aborter.current = mine
    setRunning(true)
    void compare(request, places, ask, mine.signal, setResults, pixelsOf).then(() => {
      if (!mine.signal.aborted) setRunning(false)
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
          <table class="result-table">
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
                <Row key={result.place} result={result} />
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      <p class="only-read-aloud" role="status">
        {results.length > 0 && !running ? 'The comparison is complete.' : ''}
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

function Row({ result }: { readonly result: PlaceResult }) {
  const { agreement, failure, firstMs, p50Ms, place, runs } = result
  return (
    <tr>
      <th scope="row">{placeLabel(place)}</th>
      <td>{firstMs === undefined ? '' : duration(firstMs)}</td>
      <td>
        {p50Ms === undefined ? '' : duration(p50Ms)}
        {p50Ms !== undefined && runs < RUNS && ` (${runs})`}
      </td>
      <td class="result-prose">
        {failure ??
          (firstMs === undefined
            ? 'running'
            : agreement === undefined
              ? 'the one to compare with'
              : agreementText(agreement))}
      </td>
    </tr>
  )
}
