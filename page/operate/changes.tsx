import type { OperationsChange } from '../../src/protocols/verge/operations.ts'
import { dayAndClock } from './clock.ts'
import { Section, Unshown } from './section.tsx'
import { span } from './words.ts'

interface Props {
  readonly changes: readonly OperationsChange[] | null
  readonly now: string
}

/** The newest entries of the audit log. */
export function Changes({ changes, now }: Props) {
  return (
    <Section title="Recent changes" note="the audit log, newest first">
      {changes === null ? (
        <Unshown what="The audit log" />
      ) : changes.length === 0 ? (
        <p>Nothing was changed yet.</p>
      ) : (
        <ol class="operate-changes">
          {changes.map(({ action, at, by, change, seq, subject }) => (
            <li key={seq}>
              <p class="operate-small">
                <time dateTime={at}>
                  {dayAndClock(at)}, {span(Date.parse(now) - Date.parse(at))} ago
                </time>{' '}
                by {by}
              </p>
              <p>
                <strong>{action}</strong> <code>{subject}</code>
              </p>
              {change !== '' && <p class="operate-change">{change}</p>}
            </li>
          ))}
        </ol>
      )}
    </Section>
  )
}
