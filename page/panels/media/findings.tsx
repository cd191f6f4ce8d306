import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { PictureSize } from '../../media/boxes.ts'
import { percentage } from '../../media/percentage.ts'
import { typedShare } from '../../media/typed-number.ts'
import { Said } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { NumberInput, useNumber } from './number-field.tsx'
import { PictureInput } from './picture-input.tsx'
import { RunRow } from './run-row.tsx'
import { usePicture } from './use-picture.ts'
import './boxes.css'

/** Colours of findings in boxes.css. */
export const COLOURS = 5

/** What is shown of findings in a picture. */
export interface FindingsView<Found> {
  /** From the answer; undefined where it is not of this kind. */
  readonly read: (output: unknown) => readonly Found[] | undefined
  readonly summary: (found: readonly Found[]) => string
  /** Over the picture. @param active the finding that has the focus or the pointer */
  readonly over: (found: readonly Found[], picture: PictureSize, active: number | undefined) => JSX.Element
  /** Each in words. */
  readonly words: (found: readonly Found[], picture: PictureSize) => readonly FindingWords[]
}

export interface FindingWords {
  readonly label: string
  readonly score: number
  readonly where: string
  readonly colour: number
}

interface FindingsPanelProps<Found> extends Pick<PanelProps, 'answer' | 'busy' | 'run'> {
  readonly view: FindingsView<Found>
}

/** A picture, what a model found in it drawn over it, and a list of that. */
export function FindingsPanel<Found>({ answer, busy, run, view }: FindingsPanelProps<Found>): JSX.Element {
  const state = usePicture()
  const { picture } = state
  const threshold = useNumber(typedShare)
  const [active, setActive] = useState<number>()
  const mine = picture !== undefined && answer?.request.input === picture.blob
  const found = mine ? view.read(answer.output) : undefined
  return (
    <div class="media-panel">
      <PictureInput
        state={state}
        over={found !== undefined && picture !== undefined && view.over(found, picture, active)}
      />
      <RunRow
        busy={busy}
        missing={picture === undefined ? 'Choose a picture first.' : threshold.problem}
        onRun={() => {
          setActive(undefined)
          const parameters = threshold.value === undefined ? {} : { threshold: threshold.value }
          void run({ method: 'run', input: picture?.blob, parameters })
        }}
      >
        <NumberInput label="Least score of a finding" field={threshold} empty="as the model says" />
      </RunRow>
      <Said>{found && view.summary(found)}</Said>
      {found !== undefined && picture !== undefined && (
        <section class="media-answer" aria-label="Answer">
          <p class="media-best">{view.summary(found)}</p>
          <ol class="findings">
            {view.words(found, picture).map((finding, i) => (
              <Finding
                // The list is made anew with each answer.
                key={`${i}`}
                finding={finding}
                active={i === active}
                onActive={(on) => setActive(on ? i : undefined)}
              />
            ))}
          </ol>
        </section>
      )}
    </div>
  )
}

interface FindingProps {
  readonly finding: FindingWords
  readonly active: boolean
  readonly onActive: (active: boolean) => void
}

/** One finding in words. What is drawn of it stands out while it has the focus or the pointer. */
function Finding({ active, finding, onActive }: FindingProps): JSX.Element {
  const { colour, label, score, where } = finding
  return (
    <li>
      <button
        type="button"
        class={`finding box-${colour}${active ? ' finding-active' : ''}`}
        onFocus={() => onActive(true)}
        onBlur={() => onActive(false)}
        onMouseEnter={() => onActive(true)}
        onMouseLeave={() => onActive(false)}
      >
        <span class="finding-mark" aria-hidden="true" />
        <span class="finding-label">{label}</span>
        <span class="finding-score">{percentage(score)}</span>
        <span class="finding-place">{where}</span>
      </button>
    </li>
  )
}
