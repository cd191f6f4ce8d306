import { useState } from 'preact/hooks'
import { vectorsIn } from '../../media/answers.ts'
import { barsOf, factsOf, meanOf } from '../../media/vectors.ts'
import { Button, Said } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { cosine } from '../text/vectors.ts'
import { PictureInput } from './picture-input.tsx'
import { RunRow } from './run-row.tsx'
import { usePicture } from './use-picture.ts'

const BARS = 128
/** Numbers that are shown as such. */
const SHOWN = 8

/** The vector of a picture, and how near it lies to that of another picture. */
export function ImageFeaturesPanel({ answer, busy, run }: PanelProps) {
  const state = usePicture()
  const { picture } = state
  const [kept, setKept] = useState<{ readonly name: string; readonly vector: readonly number[] }>()
  const mine = picture !== undefined && answer?.request.input === picture.blob
  const vectors = mine ? vectorsIn(answer.output) : undefined
  const vector = vectors && meanOf(vectors)
  const likeness = vector && kept?.vector.length === vector.length ? cosine(vector, kept.vector) : undefined
  return (
    <div class="media-panel">
      <PictureInput state={state} />
      <RunRow
        busy={busy}
        missing={picture === undefined ? 'Choose a picture first.' : undefined}
        onRun={() => void run({ method: 'run', input: picture?.blob })}
      />
      <Said>{vectors && sentenceOf(vectors)}</Said>
      {vectors !== undefined && vector !== undefined && picture !== undefined && (
        <section class="media-answer" aria-label="Answer">
          <p class="media-best">{sentenceOf(vectors)}</p>
          <Strip vector={vector} />
          <p class="media-numbers">
            {vector
              .slice(0, SHOWN)
              .map((value) => value.toFixed(4))
              .join(', ')}
            {vector.length > SHOWN && ' …'}
          </p>
          {likeness !== undefined && kept !== undefined && (
            <p>{`Cosine to the vector of ${kept.name}: ${likeness.toFixed(4)}. 1 is the same direction, 0 has nothing in common.`}</p>
          )}
          <div class="media-actions">
            <Button onClick={() => setKept({ name: picture.name, vector })}>Keep this vector to compare with</Button>
          </div>
        </section>
      )}
    </div>
  )
}

function sentenceOf(vectors: readonly (readonly number[])[]): string {
  const [first = []] = vectors
  const { least, length, most, size } = factsOf(first)
  const count = vectors.length === 1 ? `${size} numbers` : `${vectors.length} vectors of ${size} numbers`
  return `${count}, from ${least.toFixed(3)} to ${most.toFixed(3)}; length ${length.toFixed(3)}.`
}

/** The shape of a vector, for the eye alone. */
function Strip({ vector }: { readonly vector: readonly number[] }) {
  const bars = barsOf(vector, BARS)
  return (
    <svg class="media-strip" viewBox={`0 -1 ${bars.length} 2`} preserveAspectRatio="none" aria-hidden="true">
      <path d={bars.map((bar, i) => `M${i + 0.1} 0V${(-bar).toFixed(3)}H${i + 0.9}V0Z`).join('')} />
    </svg>
  )
}
