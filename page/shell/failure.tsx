import { failureWords } from '../state/failure-words.ts'
import { Button, Notice } from '../ui/index.ts'

interface Props {
  /** What did not work: "The model did not answer". */
  readonly title: string
  readonly failure: unknown
  readonly onRetry?: () => void
}

/** A failure in the Worker's words, with the id that its log has. */
export function Failure({ failure, onRetry, title }: Props) {
  const { requestId, text } = failureWords(failure, navigator.onLine)
  return (
    <Notice kind="bad" title={title}>
      <p>{text}</p>
      {requestId !== undefined && (
        <p class="failure-id">
          The log of the Worker has more about the request <code>{requestId}</code>.
        </p>
      )}
      {onRetry && (
        <p>
          <Button onClick={onRetry}>Try again</Button>
        </p>
      )}
    </Notice>
  )
}
