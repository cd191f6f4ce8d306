import type { OperationsOrigin } from '../../src/protocols/verge/operations.ts'
import { Scroll } from '../ui/index.ts'
import { Section, Unread } from './section.tsx'
import { count, counted, originState, span, time } from './words.ts'

interface Props {
  readonly origins: readonly OperationsOrigin[] | null
  /** When the Worker answered. */
  readonly now: string
}

/** Machines of the operator's, by their last probes. */
export function Origins({ now, origins }: Props) {
  if (origins === null) {
    return (
      <Section title="Origins">
        <Unread what="The origins" />
      </Section>
    )
  }
  if (origins.length === 0) return null
  return (
    <Section title="Origins">
      <Scroll label="Origins">
        <table class="facts-table operate-table">
          <thead>
            <tr>
              <th scope="col">Origin</th>
              <th scope="col">State</th>
              <th scope="col">Failed probes</th>
              <th scope="col">Latency</th>
              <th scope="col">Waiting</th>
              <th scope="col">Computes on</th>
              <th scope="col">Probed</th>
            </tr>
          </thead>
          <tbody>
            {origins.map((origin) => (
              <tr key={origin.name}>
                <th scope="row">{origin.name}</th>
                <td class={origin.up === false ? 'operate-bad' : ''}>
                  {originState(origin)}
                  {origin.detail !== undefined && <span class="operate-small operate-under">{origin.detail}</span>}
                </td>
                <td>{count(origin.failures)}</td>
                <td>{origin.latencyMs === undefined ? '–' : time(origin.latencyMs)}</td>
                <td>{origin.queue === undefined ? '–' : counted(origin.queue, 'request')}</td>
                <td>{origin.provider ?? '–'}</td>
                <td>
                  {origin.checkedAt === undefined
                    ? 'never'
                    : `${span(Date.parse(now) - Date.parse(origin.checkedAt))} ago`}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      {origins.some(({ up }) => up === null) && (
        <p class="operate-small operate-hint">
          The cron trigger of a deployed Worker probes origins every minute. Where nothing probes, as on your own
          machine, the state is what requests found.
        </p>
      )}
    </Section>
  )
}
