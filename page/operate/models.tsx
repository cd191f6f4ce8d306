import type { OperationsBody, OperationsModel } from '../../src/protocols/verge/operations.ts'
import { Scroll } from '../ui/index.ts'
import { dayAndClock } from './clock.ts'
import { Section, Unread } from './section.tsx'
import { count, counted, share, time, usd, versions } from './words.ts'

/** Models with their live versions, what is on trial, their traffic and cost. */
export function Models({ body: { models, modelsLeftOut } }: { readonly body: OperationsBody }) {
  if (models === null) {
    return (
      <Section title="Models">
        <Unread what="The models" />
      </Section>
    )
  }
  const note =
    modelsLeftOut === 0
      ? counted(models.length, 'model')
      : `${count(models.length)} with the most requests, of ${count(models.length + modelsLeftOut)}`
  return (
    <Section title="Models" note={note}>
      {models.length === 0 ? (
        <p>
          No model is stored. <code>npx verge push FOLDER</code> stores one.
        </p>
      ) : (
        <Scroll label="Models">
          <table class="facts-table operate-table">
            <thead>
              <tr>
                <th scope="col">Model</th>
                <th scope="col">Live</th>
                <th scope="col">Requests, hour</th>
                <th scope="col">5 min</th>
                <th scope="col">Errors, 5 min</th>
                <th scope="col">p50</th>
                <th scope="col">p95</th>
                <th scope="col">Units</th>
                <th scope="col">Tokens</th>
                <th scope="col" title="WebAssembly memory: held over granted">
                  Heap
                </th>
                <th scope="col" title="Cost units: spent over what requests may spend">
                  CPU
                </th>
                <th scope="col">Today</th>
              </tr>
            </thead>
            <tbody>
              {models.map((model) => (
                <ModelRows key={model.model} model={model} />
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </Section>
  )
}

function ModelRows({ model }: { readonly model: OperationsModel }) {
  const { canary, costTodayUsd, live, model: name, p50Ms, p95Ms, stopped, traffic, utilization, visibility } = model
  const [last5m, lastHour] = [traffic?.last5m, traffic?.lastHour]
  const failing = last5m !== undefined && last5m.errors > 0
  return (
    <>
      <tr>
        <th scope="row">
          {name}
          {visibility === 'private' && <span class="operate-tag">private</span>}
          {visibility === undefined && <span class="operate-tag">removed</span>}
        </th>
        <td>{versions(live)}</td>
        <td>{lastHour ? count(lastHour.requests) : '–'}</td>
        <td>{last5m ? count(last5m.requests) : '–'}</td>
        <td class={failing ? 'operate-bad' : ''}>{last5m ? share(last5m.errors, last5m.requests) : '–'}</td>
        <td>{p50Ms === undefined ? '–' : time(p50Ms)}</td>
        <td>{p95Ms === undefined ? '–' : time(p95Ms)}</td>
        <td>{lastHour ? count(lastHour.units) : '–'}</td>
        <td>{lastHour ? count(lastHour.tokens) : '–'}</td>
        <td>{utilization?.heap === undefined ? '–' : share(utilization.heap, 1)}</td>
        <td>{utilization?.cpu === undefined ? '–' : share(utilization.cpu, 1)}</td>
        <td>{costTodayUsd === undefined ? '–' : usd(costTodayUsd)}</td>
      </tr>
      {canary !== undefined && (
        <tr class="operate-trial">
          <td colSpan={12}>
            <div>
              <strong>Version {canary.version} is on trial</strong> with {share(canary.share, 1)} of the requests,
              against {canary.against}
              {canary.shadow !== undefined && `; outputs of ${share(canary.shadow, 1)} are compared`}
              {canary.guarded ? '; it goes back by itself' : '; it does not go back by itself'}. Verdict:{' '}
              {canary.verdict ?? 'none yet'}
              {canary.requests !== undefined && ` (${counted(canary.requests, 'request')})`}
            </div>
          </td>
        </tr>
      )}
      {stopped !== undefined && (
        <tr class="operate-trial operate-bad">
          <td colSpan={12}>
            <div>
              <strong>Version {stopped.version} was taken out</strong> at {dayAndClock(stopped.at)}: {stopped.reason}
            </div>
          </td>
        </tr>
      )}
    </>
  )
}
