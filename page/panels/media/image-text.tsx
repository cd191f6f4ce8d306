import { useState } from 'preact/hooks'
import { Bars, Said, TextArea } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { linesOf } from '../text/vectors.ts'
import { PictureInput } from './picture-input.tsx'
import { RunRow } from './run-row.tsx'
import { usePicture } from './use-picture.ts'

const TEXTS = ['a drawing', 'a photo of an animal', 'a street at night']

/** A picture and texts; how well each fits. */
export function ImageTextPanel({ answer, busy, run }: PanelProps) {
  const state = usePicture()
  const [typed, setTyped] = useState(TEXTS.join('\n'))
  const blob = state.picture?.blob
  const texts = linesOf(typed)
  const missing = blob === undefined ? 'Choose a picture first.' : texts.length === 0 ? 'Type a text first.' : undefined
  const asked = answer?.request.input === blob ? answer?.request.parameters?.texts : undefined
  const compared = Array.isArray(asked) && asked.join('\n') === texts.join('\n') ? rowIn(answer?.output) : undefined
  const bars = compared?.map((cosine, i) => ({ label: texts[i] ?? '', share: cosine, value: cosine.toFixed(3) }))
  bars?.sort((a, b) => b.share - a.share)
  return (
    <div class="media-panel">
      <PictureInput state={state} />
      <TextArea label="Texts" hint="One on each line." value={typed} onInput={setTyped} rows={4} />
      <RunRow
        busy={busy}
        missing={missing}
        onRun={() => void run({ method: 'run', input: blob, parameters: { texts } })}
      />
      <Said>{bars && `Nearest: ${bars[0]?.label ?? 'none'}`}</Said>
      {bars !== undefined && (
        <section class="media-answer" aria-label="Answer">
          <p class="media-best">{bars[0]?.label}</p>
          <Bars bars={bars} />
        </section>
      )}
    </div>
  )
}

/** The cosines of the first picture. */
function rowIn(output: unknown): number[] | undefined {
  const row: unknown = Array.isArray(output) ? output[0] : undefined
  return Array.isArray(row) ? row.filter((cosine): cosine is number => typeof cosine === 'number') : undefined
}
