import { scoresIn } from '../../media/answers.ts'
import { typedCount } from '../../media/typed-number.ts'
import type { PanelProps } from '../panel.ts'
import { NumberInput, useNumber } from './number-field.tsx'
import { RunRow } from './run-row.tsx'
import { Scores } from './scores.tsx'
import { SoundInput } from './sound-input.tsx'
import { Timeline } from './timeline.tsx'
import { usePlayer } from './use-player.ts'
import { missingSound, USUAL_RATE, useSound } from './use-sound.ts'

/** What can be heard in a sound. */
export function AudioClassificationPanel({ answer, busy, model, run }: PanelProps) {
  const state = useSound(model.audio?.sampleRate ?? USUAL_RATE)
  const { sound } = state
  const player = usePlayer(sound?.blob)
  const topK = useNumber(typedCount)
  const mine = sound !== undefined && answer?.request.input === sound.blob
  const scores = mine ? scoresIn(answer.output) : undefined
  return (
    <div class="media-panel">
      <SoundInput state={state} />
      {sound !== undefined && <Timeline sound={sound} player={player} />}
      <RunRow
        busy={busy}
        missing={missingSound(state) ?? topK.problem}
        onRun={() =>
          void run({
            method: 'run',
            input: sound?.blob,
            parameters: topK.value === undefined ? {} : { top_k: topK.value },
          })
        }
      >
        <NumberInput label="Labels in the answer" field={topK} empty="5" />
      </RunRow>
      <Scores scores={scores} />
    </div>
  )
}
