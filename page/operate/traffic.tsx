import type { OperationsBody } from '../../src/protocols/verge/operations.ts'
import { Scroll } from '../ui/index.ts'
import { Chart } from './chart.tsx'
import { clock } from './clock.ts'
import { Section, Unread } from './section.tsx'
import { count, share } from './words.ts'

/** Requests and errors of the last hour, minute by minute, and their sums. */
export function Traffic({ body: { minutes, totals } }: { readonly body: OperationsBody }) {
  if (totals === null) {
    return (
      <Section title="Traffic">
        <Unread what="The metrics" />
      </Section>
    )
  }
  const { last5m, lastHour } = totals
  return (
    <Section title="Traffic" note="the last hour">
      <dl class="operate-figures">
        <Figure name="Requests" value={count(lastHour.requests)} more={`${count(last5m.requests)} in 5 minutes`} />
        <Figure
          name="Errors"
          value={share(lastHour.errors, lastHour.requests)}
          more={`${share(last5m.errors, last5m.requests)} in 5 minutes`}
          bad={last5m.errors > 0}
        />
        <Figure name="Cost units" value={count(lastHour.units)} more={`${count(last5m.units)} in 5 minutes`} />
        <Figure name="Tokens" value={count(lastHour.tokens)} more={`${count(last5m.tokens)} in 5 minutes`} />
      </dl>
      {minutes === null ? (
        <Unread what="The minutes" />
      ) : (
        <>
          <div class="operate-charts">
            <Chart title="Requests a minute" points={minutes.map(({ at, requests }) => ({ at, value: requests }))} />
            <Chart
              title="Errors a minute"
              kind="bad"
              points={minutes.map(({ at, errors }) => ({ at, value: errors }))}
            />
          </div>
          <details class="operate-details">
            <summary>As a table</summary>
            <Scroll label="Requests and errors by minute" kind="code">
              <table class="facts-table">
                <thead>
                  <tr>
                    <th scope="col">Minute</th>
                    <th scope="col">Requests</th>
                    <th scope="col">Errors</th>
                  </tr>
                </thead>
                <tbody>
                  {minutes.toReversed().map(({ at, errors, requests }) => (
                    <tr key={at}>
                      <th scope="row">{clock(at)}</th>
                      <td>{count(requests)}</td>
                      <td>{count(errors)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </Scroll>
          </details>
        </>
      )}
    </Section>
  )
}

interface FigureProps {
  readonly name: string
  readonly value: string
  readonly more: string
  readonly bad?: boolean
}

function Figure({ bad = false, more, name, value }: FigureProps) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={bad ? 'operate-figure operate-bad' : 'operate-figure'}>{value}</dd>
      <dd class="operate-small">{more}</dd>
    </div>
  )
}
