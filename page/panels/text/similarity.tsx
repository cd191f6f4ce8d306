import { useState } from 'preact/hooks'
import { Bars, Said, TextArea, TextInput } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { missingText } from './classification.tsx'
import { exampleList, exampleText } from './examples.ts'
import { RunForm } from './form.tsx'
import { readScores } from './readers.ts'
import './text.css'
import { linesOf } from './vectors.ts'

/** A sentence and others; how similar each of them is to it. */
export function SimilarityPanel({ answer, busy, model, run }: PanelProps) {
  const [source, setSource] = useState(exampleText(model, 'source_sentence', 'The cat sleeps.'))
  const others = exampleList(model, 'sentences', ['A kitten naps.', 'Rates rose.', 'The dog is asleep.'])
  const [text, setText] = useState(others.join('\n'))
  const missing = missingText(text) ?? missingText(source)
  const start = (): void => void run({ method: 'run', input: { source_sentence: source, sentences: linesOf(text) } })
  const { sentences = [] } = (answer?.request.input ?? {}) as { readonly sentences?: readonly string[] }
  const scores = readScores(answer?.output)
  const best = scores.indexOf(Math.max(...scores))
  const bars = scores.map((score, index) => ({
    label: `${index + 1}. ${sentences[index] ?? ''}`,
    share: score,
    value: score.toFixed(3),
  }))
  return (
    <div class="text-panel">
      <RunForm busy={busy} missing={missing} onRun={start}>
        <TextInput label="Sentence" value={source} onInput={setSource} />
        <TextArea label="Compare it with" hint="One on each line." value={text} onInput={setText} rows={5} />
      </RunForm>
      <Said>{answer && `Most similar: ${sentences[best] ?? 'none'}`}</Said>
      {answer !== undefined && (
        <section class="text-answer" aria-label="Answer">
          <Bars bars={bars} />
        </section>
      )}
    </div>
  )
}
