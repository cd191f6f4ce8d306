import { useState } from 'preact/hooks'
import { scoresIn } from '../../media/answers.ts'
import type { PanelProps } from '../panel.ts'
import { exampleLabels, LabelsEditor } from '../text/zero-shot.tsx'
import { PictureInput } from './picture-input.tsx'
import { RunRow } from './run-row.tsx'
import { Scores } from './scores.tsx'
import { usePicture } from './use-picture.ts'

/** A picture and labels of the visitor's own; which of them fit. */
export function ZeroShotImagePanel({ answer, busy, model, run }: PanelProps) {
  const state = usePicture()
  const [labels, setLabels] = useState(exampleLabels(model))
  const blob = state.picture?.blob
  const missing =
    blob === undefined ? 'Choose a picture first.' : labels.length === 0 ? 'Add a label first.' : undefined
  const mine =
    answer?.request.input === blob && answer?.request.parameters?.candidate_labels === labels ? answer : undefined
  return (
    <div class="media-panel">
      <PictureInput state={state} />
      <LabelsEditor labels={labels} onChange={setLabels} />
      <RunRow
        busy={busy}
        missing={missing}
        onRun={() => void run({ method: 'run', input: blob, parameters: { candidate_labels: labels } })}
      />
      <Scores scores={mine === undefined ? undefined : scoresIn(mine.output)} />
    </div>
  )
}
