import { useState } from 'preact/hooks'
import { Said } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { MadePicture } from './made-picture.tsx'
import { PictureInput } from './picture-input.tsx'
import { RunRow } from './run-row.tsx'
import { usePicture } from './use-picture.ts'

const MADE = 'The picture is made.'

/** A picture made of a picture. */
export function ImageToImagePanel({ answer, busy, run }: PanelProps) {
  const state = usePicture()
  const { picture } = state
  const [sameShape, setSameShape] = useState(false)
  const mine = picture !== undefined && answer?.request.input === picture.blob
  const made = mine && answer.output instanceof Blob ? answer.output : undefined
  const parameters =
    sameShape && picture ? { target_size: { width: picture.width, height: picture.height } } : undefined
  return (
    <div class="media-panel">
      <PictureInput state={state} />
      <RunRow
        busy={busy}
        missing={picture === undefined ? 'Choose a picture first.' : undefined}
        onRun={() => void run({ method: 'run', input: picture?.blob, ...(parameters && { parameters }) })}
      >
        <label class="media-check">
          <input type="checkbox" checked={sameShape} onChange={() => setSameShape(!sameShape)} />
          Answer in the size of my picture
        </label>
      </RunRow>
      <Said>{made && MADE}</Said>
      {made !== undefined && <MadePicture picture={made} said={MADE} alt="Made by the model" file="answer.png" />}
    </div>
  )
}
