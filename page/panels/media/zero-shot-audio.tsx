import { useState } from 'preact/hooks'
import { scoresIn } from '../../media/answers.ts'
import type { PanelProps } from '../panel.ts'
import { exampleLabels, LabelsEditor } from '../text/zero-shot.tsx'
import { RunRow } from './run-row.tsx'
import { Scores } from './scores.tsx'
import { SoundInput } from './sound-input.tsx'
import { Timeline } from './timeline.tsx'
import { usePlayer } from './use-player.ts'
import { missingSound, USUAL_RATE, useSound } from './use-sound.ts'

/** A sound and labels of the visitor's own; which of them fit. */
export function ZeroShotAudioPanel({ answer, busy, model, run }: PanelProps) {
  const state = useSound(model.audio?.sampleRate ?? USUAL_RATE)
  const { sound } = state
  const player = usePlayer(sound?.blob)
  const [labels, setLabels] = useState(exampleLabels(model))
  const missing = missingSound(state) ?? (labels.length === 0 ? 'Add a label first.' : undefined)
  const mine =
    sound !== undefined &&
    answer?.request.input === sound.blob &&
    answer.request.parameters?.candidate_labels === labels
  return (
    <div class="media-panel">
      <SoundInput state={state} />
      {sound !== undefined && <Timeline sound={sound} player={player} />}
      <LabelsEditor labels={labels} onChange={setLabels} />
      <RunRow
        busy={busy}
        missing={missing}
        onRun={() => void run({ method: 'run', input: sound?.blob, parameters: { candidate_labels: labels } })}
      />
      <Scores scores={mine ? scoresIn(answer.output) : undefined} />
    </div>
  )
}
