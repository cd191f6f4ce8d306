import { useCallback, useState } from 'preact/hooks'
import { scoresIn } from '../../media/answers.ts'
import { digitStrokes, type Stroke } from '../../media/digit-strokes.ts'
import { typedCount } from '../../media/typed-number.ts'
import { Choice } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { DrawingPad } from './drawing-pad.tsx'
import { NumberInput, useNumber } from './number-field.tsx'
import { PictureInput } from './picture-input.tsx'
import { RunRow } from './run-row.tsx'
import { Scores } from './scores.tsx'
import { useIncomingFiles } from './use-files.ts'
import { usePicture } from './use-picture.ts'

/** What a picture shows. Models of drawn signs get paper to draw on. */
export function ImageClassificationPanel(props: PanelProps) {
  return props.model.image?.fit === 'mnist' ? <DrawnOrPictured {...props} /> : <Pictured {...props} />
}

function DrawnOrPictured(props: PanelProps) {
  const [way, setWay] = useState<'draw' | 'picture'>('draw')
  const [strokes, setStrokes] = useState(() => digitStrokes(3))
  const [file, setFile] = useState<File>()
  return (
    <div class="media-panel">
      <Choice
        label="Give the model"
        options={[
          { value: 'draw', label: 'A drawing' },
          { value: 'picture', label: 'A picture' },
        ]}
        value={way}
        onChange={(next) => {
          setFile(undefined)
          setWay(next)
        }}
      />
      {way === 'draw' ? (
        <Drawn
          {...props}
          strokes={strokes}
          onStrokes={setStrokes}
          onFile={(brought) => {
            setFile(brought)
            setWay('picture')
          }}
        />
      ) : (
        <Pictured {...props} first={file} />
      )}
    </div>
  )
}

interface DrawnProps extends PanelProps {
  readonly strokes: readonly Stroke[]
  readonly onStrokes: (strokes: readonly Stroke[]) => void
  /** A picture was dropped or pasted instead. */
  readonly onFile: (file: File) => void
}

function Drawn({ onFile, onStrokes, strokes, ...props }: DrawnProps) {
  const [png, setPng] = useState<Blob>()
  const keep = useCallback((blob: Blob | undefined) => setPng(blob), [])
  useIncomingFiles(onFile)
  return (
    <>
      <DrawingPad strokes={strokes} onStrokes={onStrokes} onPicture={keep} />
      <Asked {...props} blob={png} missing="Draw a digit first." />
    </>
  )
}

/** @param first what is shown instead of the example */
function Pictured({ first, ...props }: PanelProps & { readonly first?: File | undefined }) {
  const state = usePicture(first)
  return (
    <div class="media-panel">
      <PictureInput state={state} />
      <Asked {...props} blob={state.picture?.blob} missing="Choose a picture first." />
    </div>
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
      <Scores scores={scores} />
    </>
  )
}
