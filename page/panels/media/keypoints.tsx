import { posesIn } from '../../media/answers.ts'
import type { PictureSize } from '../../media/boxes.ts'
import { bonesOf, isSure, type Pose, strokeOf } from '../../media/poses.ts'
import type { ModelInfo } from '../../models.ts'
import type { PanelProps } from '../panel.ts'
import { COLOURS, FindingsPanel, type FindingsView } from './findings.tsx'
import './poses.css'

/** Where the points of persons or things are: drawn over the picture with their skeleton, and a list of them. */
export function KeypointsPanel({ answer, busy, model, run }: PanelProps) {
  const view: FindingsView<Pose> = {
    read: posesIn,
    summary: summaryOf,
    over: (found, picture, active) => <Poses found={found} picture={picture} model={model} active={active} />,
    words: (found) =>
      found.map(({ label = 'pose', points, score }, i) => ({
        label,
        score,
        where: points.map(wordsOf).join(', '),
        colour: i % COLOURS,
      })),
  }
  return <FindingsPanel answer={answer} busy={busy} run={run} view={view} />
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

function wordsOf(point: Pose['points'][number]): string {
  const place = `${point.name ?? 'point'} ${Math.round(point.x)}, ${Math.round(point.y)}`
  return isSure(point) ? place : `${place} (unsure)`
}

function summaryOf(found: readonly Pose[]): string {
  if (found.length === 0) return 'The model found nothing in this picture. A lower least score may find more.'
  const sure = found.reduce((sum, { points }) => sum + points.filter(isSure).length, 0)
  return `Found: ${found.length === 1 ? 'one pose' : `${found.length} poses`}, ${sure} points.`
}
