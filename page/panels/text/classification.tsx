import { useState } from 'preact/hooks'
import { percentage } from '../../media/percentage.ts'
import { Bars, Said, TextArea } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { exampleTexts } from './examples.ts'
import { Examples, RunForm } from './form.tsx'
import { readLabels, type Scored } from './readers.ts'
import './text.css'

/** A text; its labels as bars. */
export function ClassificationPanel({ answer, busy, model, run }: PanelProps) {
  const examples = exampleTexts(model)
  const [text, setText] = useState(examples[0] ?? '')
  // An answer is shown as long as it is that to the text above it.
  const mine = answer?.request.input === text ? answer : undefined
  const labels = readLabels(mine?.output)
  return (
    <div class="text-panel">
      <RunForm busy={busy} missing={missingText(text)} onRun={() => void run({ method: 'run', input: text })}>
        <TextArea label="Text" value={text} onInput={setText} />
        <Examples texts={examples} onChoose={setText} />
      </RunForm>
      <Said>{mine && bestInWords(labels)}</Said>
      {mine !== undefined && (
        <section class="text-answer" aria-label="Answer">
          <Bars bars={labels.map(({ label, score }) => ({ label, share: score }))} />
        </section>
      )}
    </div>
  )
}

/** The first of labels with scores, for who does not see the bars. */
export function bestInWords([best]: readonly Scored[]): string {
  return best === undefined ? 'The model gave no label.' : `${best.label}, ${percentage(best.score)}`
}

/** Why a text cannot be sent. */
export function missingText(text: string): string | undefined {
  return text.trim() === '' ? 'Type a text first.' : undefined
}
