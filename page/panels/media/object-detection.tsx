import { useState } from 'preact/hooks'
import { type Detection, detectionsIn } from '../../media/answers.ts'
import { coloursOf, type PictureSize, placeBox, placeInWords } from '../../media/boxes.ts'
import { percentage } from '../../media/percentage.ts'
import { typedShare } from '../../media/typed-number.ts'
import { Said } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { NumberInput, useNumber } from './number-field.tsx'
import { PictureInput } from './picture-input.tsx'
import { RunRow } from './run-row.tsx'
import { usePicture } from './use-picture.ts'
import './boxes.css'

/** Colours of boxes in media.css. */
const COLOURS = 5

/** What is where in a picture: boxes over it, and a list of them. */
export function ObjectDetectionPanel({ answer, busy, run }: PanelProps) {
  const state = usePicture()
  const { picture } = state
  const threshold = useNumber(typedShare)
  const [active, setActive] = useState<number>()
  const mine = picture !== undefined && answer?.request.input === picture.blob
  const found = mine ? detectionsIn(answer.output) : undefined
  const colours = coloursOf(found?.map(({ label }) => label) ?? [], COLOURS)
  return (
    <div class="media-panel">
      <PictureInput
        state={state}
        over={
          found !== undefined &&
          picture !== undefined && <Boxes found={found} picture={picture} colours={colours} active={active} />
        }
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
      <Said>{found && summaryOf(found)}</Said>
      {found !== undefined && picture !== undefined && (
        <section class="media-answer" aria-label="Answer">
          <p class="media-best">{summaryOf(found)}</p>
          <ol class="findings">
            {found.map((detection, i) => (
              <Finding
                // The list is made anew with each answer.
                key={`${i}`}
                detection={detection}
                picture={picture}
                colour={colours.get(detection.label) ?? 0}
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

interface BoxesProps {
  readonly found: readonly Detection[]
  readonly picture: PictureSize
  readonly colours: ReadonlyMap<string, number>
  readonly active: number | undefined
}

/** For the eye alone: the list says the same in words. */
function Boxes({ active, colours, found, picture }: BoxesProps) {
  return (
    <div class={active === undefined ? 'boxes' : 'boxes boxes-one'} aria-hidden="true">
      {found.map(({ box, label, score }, i) => {
        const { height, labelAtEnd, labelInside, left, top, width } = placeBox(box, picture)
        const places = `${labelInside ? ' box-label-inside' : ''}${labelAtEnd ? ' box-label-end' : ''}`
        return (
          <div
            key={`${i}`}
            class={`box box-${colours.get(label) ?? 0}${i === active ? ' box-active' : ''}`}
            style={{ left: `${left}%`, top: `${top}%`, width: `${width}%`, height: `${height}%` }}
          >
            <span class={`box-label${places}`}>{`${label} ${percentage(score)}`}</span>
          </div>
        )
      })}
    </div>
  )
}

interface FindingProps {
  readonly detection: Detection
  readonly picture: PictureSize
  readonly colour: number
  readonly active: boolean
  readonly onActive: (active: boolean) => void
}

/** One finding in words. Its box stands out while it has the focus or the pointer. */
function Finding({ active, colour, detection, onActive, picture }: FindingProps) {
  const { box, label, score } = detection
  const size = `${box.xmax - box.xmin} × ${box.ymax - box.ymin} pixels from ${box.xmin}, ${box.ymin}`
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
        <span class="finding-place">{`${placeInWords(box, picture)}, ${size}`}</span>
      </button>
    </li>
  )
}

function summaryOf(found: readonly Detection[]): string {
  if (found.length === 0) return 'The model found nothing in this picture. A lower least score may find more.'
  const counts = new Map<string, number>()
  for (const { label } of found) counts.set(label, (counts.get(label) ?? 0) + 1)
  const parts = [...counts].map(([label, count]) => (count === 1 ? label : `${label} × ${count}`))
  return `Found: ${parts.join(', ')}.`
}
