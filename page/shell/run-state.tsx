import { sizeInWords } from '../media/size-words.ts'
import type { Answer } from '../panels/request.ts'
import type { Progress } from '../state/browser-engine.ts'
import { Button } from '../ui/index.ts'
import { placeWords } from './words.ts'

interface Props {
  readonly busy: boolean
  readonly progress: Progress | undefined
  readonly answer: Answer | undefined
  /** What the visitor ended, or failed, was not answered. */
  readonly outcome: 'answered' | 'stopped' | 'failed'
  readonly onStop: () => void
}

/** One line that says what is happening. It has its height from the beginning, so that nothing moves. */
export function RunState({ answer, busy, onStop, outcome, progress }: Props) {
  return (
    <div class="run-state">
      <p role="status">{stateWords(busy, progress, outcome, answer)}</p>
      {busy && progress !== undefined && progress.totalBytes > 0 && (
        <progress
          aria-label="Weights"
          max={progress.totalBytes}
          value={Math.min(progress.loadedBytes, progress.totalBytes)}
        />
      )}
      {busy && (
        <Button kind="quiet" onClick={onStop}>
          Cancel
        </Button>
      )}
    </div>
  )
}

function stateWords(
  busy: boolean,
  progress: Progress | undefined,
  outcome: Props['outcome'],
  answer: Answer | undefined,
): string {
  if (busy && progress !== undefined && progress.loadedBytes < progress.totalBytes) {
    return `Downloading weights, ${sizeInWords(progress.totalBytes)} in all`
  }
  if (busy) return 'Running'
  if (outcome === 'stopped') return 'Cancelled'
  if (outcome === 'failed' || answer === undefined) return ''
  return `Answered in ${answer.ms < 10 ? answer.ms.toFixed(1) : Math.round(answer.ms)} ms ${placeWords([answer.place])}`
}
