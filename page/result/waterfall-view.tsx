import { useState } from 'preact/hooks'
import { Scroll } from '../ui/index.ts'
import { duration, type Waterfall } from './waterfall.ts'

/** The parts of a request as bars; whoever points at one, or reaches it with the keyboard, reads what it is. */
export function WaterfallView({ drawn }: { readonly drawn: Waterfall }) {
  const { note, steps, totalMs } = drawn
  const [shown, setShown] = useState<string>()
  const chosen = steps.find(({ name }) => name === shown)
  const percent = (ms: number): string => `${totalMs > 0 ? (ms / totalMs) * 100 : 0}%`
  return (
    <div class="waterfall">
      <p class="waterfall-total">
        <strong>{duration(totalMs)}</strong> from asking to the whole answer
      </p>
      <ol class="waterfall-steps">
        {steps.map(({ explanation, label, ms, name, startMs }) => (
          <li key={name}>
            <button
              type="button"
              class="waterfall-step"
              onMouseEnter={() => setShown(name)}
              onFocus={() => setShown(name)}
            >
              <span>{label} </span>
              <span class="waterfall-track">
                <span
                  class={name === 'rest' ? 'waterfall-bar waterfall-bar-rest' : 'waterfall-bar'}
                  style={{ left: percent(startMs), width: percent(ms) }}
                />
              </span>
              <span class="waterfall-ms">{duration(ms)}</span>
              <span class="only-read-aloud">. {explanation}</span>
            </button>
          </li>
        ))}
      </ol>
      {note !== undefined && <p class="result-note">{note}</p>}
      <p class="waterfall-meaning" aria-hidden="true">
        {chosen === undefined ? 'Point at a bar to read what it is.' : `${chosen.label}: ${chosen.explanation}`}
      </p>
      <details class="result-details">
        <summary>As a table</summary>
        <Scroll label="Times of the parts">
          <table class="facts-table result-table">
            <thead>
              <tr>
                <th scope="col">Part</th>
                <th scope="col">Starts after</th>
                <th scope="col">Takes</th>
                <th scope="col">What it is</th>
              </tr>
            </thead>
            <tbody>
              {steps.map(({ explanation, label, ms, name, startMs }) => (
                <tr key={name}>
                  <th scope="row">{label}</th>
                  <td>{duration(startMs)}</td>
                  <td>{duration(ms)}</td>
                  <td class="result-prose">{explanation}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      </details>
    </div>
  )
}
