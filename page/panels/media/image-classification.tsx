import { useCallback, useState } from 'preact/hooks'
import { scoresIn } from '../../media/answers.ts'
import { digitStrokes } from '../../media/digit-strokes.ts'
import { typedCount } from '../../media/typed-number.ts'
import { Choice } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { DrawingPad } from './drawing-pad.tsx'
import { NumberInput, useNumber } from './number-field.tsx'
import { PictureInput } from './picture-input.tsx'
import { RunRow } from './run-row.tsx'
import { Scores } from './scores.tsx'
import { usePicture } from './use-picture.ts'

/** What a picture shows. Models of drawn signs get paper to draw on. */
export function ImageClassificationPanel(props: PanelProps) {
  const drawn = props.model.image?.fit === 'mnist'
  const [way, setWay] = useState<'draw' | 'picture'>(drawn ? 'draw' : 'picture')
  return (
    <div class="media-panel">
      {drawn && (
        <Choice
          label="Give the model"
          options={[
            { value: 'draw', label: 'A drawing' },
            { value: 'picture', label: 'A picture' },
          ]}
          value={way}
          onChange={setWay}
        />
      )}
      {way === 'draw' ? <Drawn {...props} /> : <Pictured {...props} />}
    </div>
  )
}

function Drawn(props: PanelProps) {
  const [strokes, setStrokes] = useState(() => digitStrokes(3))
  const [png, setPng] = useState<Blob>()
  const keep = useCallback((blob: Blob | undefined) => setPng(blob), [])
  return (
    <>
      <DrawingPad strokes={strokes} onStrokes={setStrokes} onPicture={keep} />
      <Asked {...props} blob={png} missing="Draw a digit first." />
    </>
  )
}

function Pictured(props: PanelProps) {
  const state = usePicture()
  return (
    <>
      <PictureInput state={state} />
      <Asked {...props} blob={state.picture?.blob} missing="Choose a picture first." />
    </>
  )
}

/** The button, and the answer as long as it is that to what is shown. */
function Asked({
  answer,
  blob,
  busy,
  missing,
  run,
}: PanelProps & { readonly blob: Blob | undefined; readonly missing: string }) {
  const topK = useNumber(typedCount)
  const scores = answer !== undefined && answer.request.input === blob ? scoresIn(answer.output) : undefined
  return (
    <>
      <RunRow
        busy={busy}
        missing={blob === undefined ? missing : topK.problem}
        onRun={() =>
          void run({ method: 'run', input: blob, parameters: topK.value === undefined ? {} : { top_k: topK.value } })
        }
      >
        <NumberInput label="Labels in the answer" field={topK} empty="5" />
      </RunRow>
      {scores !== undefined && <Scores scores={scores} />}
    </>
  )
}
