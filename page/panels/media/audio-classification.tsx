import { scoresIn } from '../../media/answers.ts'
import { typedCount } from '../../media/typed-number.ts'
import { Button } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { NumberInput, useNumber } from './number-field.tsx'
import { Scores } from './scores.tsx'
import { SoundInput } from './sound-input.tsx'
import { Timeline } from './timeline.tsx'
import { usePlayer } from './use-player.ts'
import { useSound } from './use-sound.ts'

/** Of models that do not say. */
export const USUAL_RATE = 16_000

/** What can be heard in a sound. */
export default function AudioClassification({ answer, busy, model, run }: PanelProps) {
  const state = useSound(model.audio?.sampleRate ?? USUAL_RATE)
  const { recording, sound } = state
  const player = usePlayer(sound?.blob)
  const topK = useNumber(typedCount)
  const mine = sound !== undefined && answer?.request.input === sound.blob
  const scores = mine ? scoresIn(answer.output) : undefined
  return (
    <div class="media-panel">
      <SoundInput state={state} />
      {sound !== undefined && <Timeline sound={sound} player={player} />}
      <div class="media-run">
        <NumberInput label="Labels in the answer" field={topK} empty="5" />
        <Button
          kind="primary"
          disabled={busy || sound === undefined || recording !== undefined || topK.problem !== undefined}
          onClick={() =>
            void run({
              method: 'run',
              input: sound?.blob,
              parameters: topK.value === undefined ? {} : { top_k: topK.value },
            })
          }
        >
          Classify
        </Button>
      </div>
      {scores !== undefined && <Scores scores={scores} />}
    </div>
  )
}
