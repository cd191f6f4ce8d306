import type { OperationsBody } from '../../src/protocols/verge/operations.ts'
import { Notice, Said } from '../ui/index.ts'
import { Section } from './section.tsx'
import { count, counted, share } from './words.ts'

const WORDS = {
  ok: 'No alerts',
  warning: 'Something deserves attention',
  critical: 'Something is broken',
} as const

/** The verdict, each alert with what to do, and the parts of the answer that are missing. */
export function Health({ body }: { readonly body: OperationsBody }) {
  const { alerts, health, isolates, lost, problems, singleIsolates, utilization } = body
  const whose = isolates === 1 ? 'its' : 'their'
  const memory = utilization?.heap === undefined ? '' : `, ${share(utilization.heap, 1)} of ${whose} memory used`
  const reporting = isolates === null ? 'isolates unknown' : `${counted(isolates, 'isolate')} reporting${memory}`
  return (
    <Section title="Health" note={reporting}>
      {/* Said once for each change: the list below would be read aloud at every update. */}
      <Said>{`${WORDS[health]}. ${counted(alerts.length, 'alert')}.`}</Said>
      <p class={`operate-health operate-${health}`}>
        <span class={`operate-mark operate-mark-${health}`} aria-hidden="true" />
        {WORDS[health]}
      </p>
      {alerts.length > 0 && (
        <ul class="operate-alerts">
          {alerts.map((alert) => (
            <li
              key={[alert.name, alert.model, alert.version, alert.origin, alert.principal].join(' ')}
              class={`operate-alert operate-${alert.severity}`}
            >
              <p>
                <strong>{alert.what}</strong> <span class="operate-tag">{alert.severity}</span>
              </p>
              <p>{alert.do}</p>
              <p class="operate-small">{alert.name}</p>
            </li>
          ))}
        </ul>
      )}
      {problems.length > 0 && (
        <Notice title="These figures are not complete">
          <ul class="operate-problems">
            {problems.map(({ part, what }) => (
              <li key={`${part} ${what}`}>
                <strong>{part}</strong>: {what}
              </li>
            ))}
          </ul>
        </Notice>
      )}
      {isolates !== null && isolates > 1 && singleIsolates !== null && (
        <p class="operate-small">
          Single isolates, least / median / most: memory {spread(singleIsolates.heap)}, computing{' '}
          {spread(singleIsolates.cpu)}
        </p>
      )}
      {lost !== null && lost > 0 && (
        <p class="operate-small operate-lost">
          {count(lost)} observations were lost: the requests were answered, and the figures are too small by them.
        </p>
      )}
    </Section>
  )
}

function spread(of: { readonly least: number; readonly median: number; readonly most: number } | undefined): string {
  return of === undefined ? '–' : [of.least, of.median, of.most].map((part) => share(part, 1)).join(' / ')
}
