import { type Detection, detectionsIn } from '../../media/answers.ts'
import { coloursOf, type PictureSize, placeBox, placeInWords } from '../../media/boxes.ts'
import { percentage } from '../../media/percentage.ts'
import type { PanelProps } from '../panel.ts'
import { COLOURS, FindingsPanel, type FindingsView } from './findings.tsx'

/** What is where in a picture: boxes over it, and a list of them. */
export function ObjectDetectionPanel({ answer, busy, run }: PanelProps) {
  return <FindingsPanel answer={answer} busy={busy} run={run} view={VIEW} />
}

const VIEW: FindingsView<Detection> = {
  read: detectionsIn,
  summary: summaryOf,
  over: (found, picture, active) => (
    <Boxes found={found} picture={picture} colours={coloursOfLabels(found)} active={active} />
  ),
  words: (found, picture) => {
    const colours = coloursOfLabels(found)
    return found.map(({ box, label, score }) => {
      const size = `${box.xmax - box.xmin} × ${box.ymax - box.ymin} pixels from ${box.xmin}, ${box.ymin}`
      return { label, score, where: `${placeInWords(box, picture)}, ${size}`, colour: colours.get(label) ?? 0 }
    })
  },
}

function coloursOfLabels(found: readonly Detection[]): ReadonlyMap<string, number> {
  return coloursOf(
    found.map(({ label }) => label),
    COLOURS,
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

function summaryOf(found: readonly Detection[]): string {
  if (found.length === 0) return 'The model found nothing in this picture. A lower least score may find more.'
  const counts = new Map<string, number>()
  for (const { label } of found) counts.set(label, (counts.get(label) ?? 0) + 1)
  const parts = [...counts].map(([label, count]) => (count === 1 ? label : `${label} × ${count}`))
  return `Found: ${parts.join(', ')}.`
}
