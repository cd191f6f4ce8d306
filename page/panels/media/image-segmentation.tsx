import { useMemo, useState } from 'preact/hooks'
import { percentage } from '../../media/percentage.ts'
import { type MapSegment, type SegmentMap, segmentMapIn, shownSize } from '../../media/picture-maps.ts'
import { Said } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { PictureInput } from './picture-input.tsx'
import { RunRow } from './run-row.tsx'
import { useObjectUrl } from './use-files.ts'
import { usePicture } from './use-picture.ts'
import './picture-maps.css'

/** What each part of a picture is: a map over it, and what its colours mean. */
export function ImageSegmentationPanel({ answer, busy, run }: PanelProps) {
  const state = usePicture()
  const { picture } = state
  const [opacity, setOpacity] = useState(60)
  const mine = picture !== undefined && answer?.request.input === picture.blob
  const output = mine ? answer.output : undefined
  const found = useMemo(() => segmentMapIn(output), [output])
  return (
    <div class="media-panel">
      <PictureInput state={state} over={found !== undefined && <Overlay found={found} opacity={opacity} />} />
      <RunRow
        busy={busy}
        missing={picture === undefined ? 'Choose a picture first.' : undefined}
        onRun={() =>
          void run({
            method: 'run',
            input: picture?.blob,
            parameters: { format: 'map', ...(picture && shownSize(picture)) },
          })
        }
      >
        <label class="map-opacity">
          Opacity of the colours
          <input
            type="range"
            min="0"
            max="100"
            value={opacity}
            onInput={({ currentTarget }) => setOpacity(Number(currentTarget.value))}
          />
        </label>
      </RunRow>
      <Said>{found && summaryOf(found)}</Said>
      {found !== undefined && (
        <section class="media-answer" aria-label="Answer">
          <p class="media-best">{summaryOf(found)}</p>
          <ul class="map-legend">
            {found.segments.map((segment, i) => (
              <Entry key={`${i}`} segment={segment} whole={wholeOf(found)} />
            ))}
          </ul>
        </section>
      )}
    </div>
  )
}

/** For the eye alone: the legend says in words how much of the picture is what. */
function Overlay({ found, opacity }: { readonly found: SegmentMap; readonly opacity: number }) {
  const url = useObjectUrl(found.map)
  if (url === undefined) return null
  return <img class="map-over" src={url} alt="" aria-hidden="true" style={{ opacity: opacity / 100 }} />
}

function Entry({ segment, whole }: { readonly segment: MapSegment; readonly whole: number }) {
  const { color, label, pixels, score } = segment
  return (
    <li>
      <span class="map-mark" style={{ background: color }} aria-hidden="true" />
      <span class="finding-label">{label}</span>
      <span class="media-facts">
        {`${percentage(pixels / whole)} of the segments${score === undefined ? '' : `, score ${percentage(score)}`}`}
      </span>
    </li>
  )
}

function wholeOf({ segments }: SegmentMap): number {
  return segments.reduce((sum, { pixels }) => sum + pixels, 0)
}

function summaryOf({ segments }: SegmentMap): string {
  if (segments.length === 0) return 'The model found no segment in this picture.'
  const labels = [...new Set(segments.map(({ label }) => label))]
  const more = labels.length > 4 ? ` and ${labels.length - 4} more` : ''
  return `Mostly: ${labels.slice(0, 4).join(', ')}${more}.`
}
