import { useState } from 'preact/hooks'
import { Bars, TextArea } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { exampleTexts } from './examples.ts'
import { Examples, RunForm } from './form.tsx'
import { readLabels } from './readers.ts'
import './text.css'

/** A text; its labels as bars. */
export function ClassificationPanel({ answer, busy, model, run }: PanelProps) {
  const examples = exampleTexts(model)
  const [text, setText] = useState(examples[0] ?? '')
  const labels = readLabels(answer?.output)
  return (
    <div class="text-panel">
      <RunForm busy={busy} missing={missingText(text)} onRun={() => void run({ method: 'run', input: text })}>
        <TextArea label="Text" value={text} onInput={setText} />
        <Examples texts={examples} onChoose={setText} />
      </RunForm>
      {answer !== undefined && (
        <section class="text-answer" aria-label="Answer" aria-live="polite">
          <Bars bars={labels.map(({ label, score }) => ({ label, share: score }))} />
        </section>
      )}
    </div>
  )
}

/** Why a text cannot be sent. */
export function missingText(text: string): string | undefined {
  return text.trim() === '' ? 'Type a text first.' : undefined
}
