import { useMemo } from 'preact/hooks'
import { type DepthMap, depthIn, shownSize } from '../../media/picture-maps.ts'
import { Said } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { PictureInput } from './picture-input.tsx'
import { RunRow } from './run-row.tsx'
import { useObjectUrl } from './use-files.ts'
import { usePicture } from './use-picture.ts'
import './picture-maps.css'

/** How far away things in a picture are: a grey map beside it. */
export function DepthEstimationPanel({ answer, busy, run }: PanelProps) {
  const state = usePicture()
  const { picture } = state
  const mine = picture !== undefined && answer?.request.input === picture.blob
  const output = mine ? answer.output : undefined
  const found = useMemo(() => depthIn(output), [output])
  return (
    <div class="media-panel">
      <div class="map-beside">
        <PictureInput state={state} />
        {found !== undefined && <DepthView found={found} />}
      </div>
      <RunRow
        busy={busy}
        missing={picture === undefined ? 'Choose a picture first.' : undefined}
        onRun={() =>
          void run({
            method: 'run',
            input: picture?.blob,
            parameters: picture === undefined ? {} : shownSize(picture),
          })
        }
      />
      <Said>{found && summaryOf(found)}</Said>
    </div>
  )
}

function DepthView({ found }: { readonly found: DepthMap }) {
  const url = useObjectUrl(found.depth)
  return (
    <section class="media-answer" aria-label="Answer">
      {url !== undefined && <img class="media-made" src={url} alt="Depth, in grey" />}
      <p class="media-best">{summaryOf(found)}</p>
      <p class="media-hint">Models of relative depth give near things great numbers; models of metres, far things.</p>
      {url !== undefined && (
        <a class="media-download" href={url} download="depth.png">
          Save the depth
        </a>
      )}
    </section>
  )
}

function summaryOf({ maximum, minimum }: DepthMap): string {
  return `Black is ${Number(minimum.toPrecision(4))}, white is ${Number(maximum.toPrecision(4))}.`
}
