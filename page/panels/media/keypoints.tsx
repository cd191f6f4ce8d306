import { useState } from 'preact/hooks'
import { posesIn } from '../../media/answers.ts'
import type { PictureSize } from '../../media/boxes.ts'
import { percentage } from '../../media/percentage.ts'
import { bonesOf, isSure, type Pose, strokeOf } from '../../media/poses.ts'
import { typedShare } from '../../media/typed-number.ts'
import type { ModelInfo } from '../../models.ts'
import { Said } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { NumberInput, useNumber } from './number-field.tsx'
import { PictureInput } from './picture-input.tsx'
import { RunRow } from './run-row.tsx'
import { usePicture } from './use-picture.ts'
import './boxes.css'
import './poses.css'

/** Colours of boxes in boxes.css. */
const COLOURS = 5

/** Where the points of persons or things are: drawn over the picture with their skeleton, and a list of them. */
export function KeypointsPanel({ answer, busy, model, run }: PanelProps) {
  const state = usePicture()
  const { picture } = state
  const threshold = useNumber(typedShare)
  const [active, setActive] = useState<number>()
  const mine = picture !== undefined && answer?.request.input === picture.blob
  const found = mine ? posesIn(answer.output) : undefined
  return (
    <div class="media-panel">
      <PictureInput
        state={state}
        over={
          found !== undefined &&
          picture !== undefined && <Poses found={found} picture={picture} model={model} active={active} />
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
      {found !== undefined && (
        <section class="media-answer" aria-label="Answer">
          <p class="media-best">{summaryOf(found)}</p>
          <ol class="findings">
            {found.map((pose, i) => (
              <Finding
                // The list is made anew with each answer.
                key={`${i}`}
                pose={pose}
                colour={i % COLOURS}
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

interface PosesProps {
  readonly found: readonly Pose[]
  readonly picture: PictureSize
  readonly model: ModelInfo
  readonly active: number | undefined
}

/** For the eye alone: the list says the same in words. */
function Poses({ active, found, model, picture }: PosesProps) {
  const { names = [], skeleton = [] } = model.keypoints ?? {}
  const stroke = strokeOf(picture)
  return (
    <svg class="poses" viewBox={`0 0 ${picture.width} ${picture.height}`} preserveAspectRatio="none" aria-hidden="true">
      {found.map((pose, i) => (
        <g key={`${i}`} class={`pose box-${i % COLOURS}${active === undefined || i === active ? '' : ' pose-dim'}`}>
          {pose.box && (
            <rect
              class="pose-box"
              x={pose.box.xmin}
              y={pose.box.ymin}
              width={Math.max(0, pose.box.xmax - pose.box.xmin)}
              height={Math.max(0, pose.box.ymax - pose.box.ymin)}
              stroke-width={stroke}
            />
          )}
          {bonesOf(pose, names, skeleton).map(({ from, to }, bone) => (
            <line
              key={`${bone}`}
              class="pose-bone"
              x1={from.x}
              y1={from.y}
              x2={to.x}
              y2={to.y}
              stroke-width={2 * stroke}
            />
          ))}
          {pose.points.filter(isSure).map((point, place) => (
            <circle
              key={`${place}`}
              class="pose-point"
              cx={point.x}
              cy={point.y}
              r={3 * stroke}
              stroke-width={stroke}
            />
          ))}
        </g>
      ))}
    </svg>
  )
}

interface FindingProps {
  readonly pose: Pose
  readonly colour: number
  readonly active: boolean
  readonly onActive: (active: boolean) => void
}

/** One finding in words. Its points stand out while it has the focus or the pointer. */
function Finding({ active, colour, onActive, pose }: FindingProps) {
  const { label, points, score } = pose
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
        <span class="finding-label">{label ?? 'pose'}</span>
        <span class="finding-score">{percentage(score)}</span>
        <span class="finding-place">{points.map(wordsOf).join(', ')}</span>
      </button>
    </li>
  )
}

function wordsOf(point: Pose['points'][number]): string {
  const place = `${point.name ?? 'point'} ${Math.round(point.x)}, ${Math.round(point.y)}`
  return isSure(point) ? place : `${place} (unsure)`
}

function summaryOf(found: readonly Pose[]): string {
  if (found.length === 0) return 'The model found nothing in this picture. A lower least score may find more.'
  const sure = found.reduce((sum, { points }) => sum + points.filter(isSure).length, 0)
  return `Found: ${found.length === 1 ? 'one pose' : `${found.length} poses`}, ${sure} points.`
}
