import { type Speech, speechIn } from '../../media/answers.ts'
import { speechTotal, spokenTime } from '../../media/timeline.ts'
import { typedShare } from '../../media/typed-number.ts'
import { Said } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { NumberInput, useNumber } from './number-field.tsx'
import { RunRow } from './run-row.tsx'
import { Segments } from './segments.tsx'
import { SoundInput } from './sound-input.tsx'
import { Timeline } from './timeline.tsx'
import { usePlayer } from './use-player.ts'
import { missingSound, USUAL_RATE, useSound } from './use-sound.ts'

/** Where in a sound somebody speaks. */
export function VoiceActivityPanel({ answer, busy, model, run }: PanelProps) {
  const state = useSound(model.audio?.sampleRate ?? USUAL_RATE)
  const { sound } = state
  const player = usePlayer(sound?.blob)
  const threshold = useNumber(typedShare)
  const mine = sound !== undefined && answer?.request.input === sound.blob
  const speech = mine ? speechIn(answer.output) : undefined
  const parameters = {
    return_probabilities: true,
    ...(threshold.value !== undefined && { threshold: threshold.value }),
  }
  return (
    <div class="media-panel">
      <SoundInput state={state} />
      {sound !== undefined && <Timeline sound={sound} speech={speech} player={player} />}
      <RunRow
        busy={busy}
        missing={missingSound(state) ?? threshold.problem}
        onRun={() => void run({ method: 'run', input: sound?.blob, parameters })}
      >
        <NumberInput label="Least probability of speech" field={threshold} empty="as the model says" />
      </RunRow>
      <Said>{speech && sound && summaryOf(speech, sound.seconds)}</Said>
      {speech !== undefined && sound !== undefined && (
        <section class="media-answer" aria-label="Answer">
          <p class="media-best">{summaryOf(speech, sound.seconds)}</p>
          <Segments segments={speech.segments} player={player} />
        </section>
      )}
    </div>
  )
}

function summaryOf({ segments }: Speech, duration: number): string {
  if (segments.length === 0) return 'The model found no speech in this sound.'
  const { seconds, share } = speechTotal(segments, duration)
  const parts = segments.length === 1 ? 'one part' : `${segments.length} parts`
  return `Speech in ${parts}: ${spokenTime(seconds)}, ${Math.round(100 * share)} % of the sound.`
}
