import { useState } from 'preact/hooks'
import { Bars, Said, TextArea, TextInput } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { missingText } from './classification.tsx'
import { exampleList, exampleText } from './examples.ts'
import { RunForm } from './form.tsx'
import { readRanking } from './readers.ts'
import './text.css'
import { linesOf } from './vectors.ts'

const DOCUMENTS = [
  'Refunds are paid within a week.',
  'Our shops open at nine.',
  'You get your money back by the card that you paid with.',
]

/** A question and documents; the documents, best first. */
export function RankingPanel({ answer, busy, model, run }: PanelProps) {
  const [query, setQuery] = useState(exampleText(model, 'query', 'How do I get my money back?'))
  const [text, setText] = useState(exampleList(model, 'texts', DOCUMENTS).join('\n'))
  const missing = missingText(text) ?? missingText(query)
  const start = (): void => void run({ method: 'rerank', input: { query, documents: linesOf(text) } })
  const { documents = [] } = (answer?.request.input ?? {}) as { readonly documents?: readonly string[] }
  const ranked = readRanking(answer?.output)
  // Raw scores may be of any size: bars show them from the lowest to the highest.
  const scores = ranked.map(({ score }) => score)
  const [low, high] = [Math.min(0, ...scores), Math.max(1, ...scores)]
  return (
    <div class="text-panel">
      <RunForm busy={busy} missing={missing} onRun={start}>
        <TextInput label="Question" value={query} onInput={setQuery} />
        <TextArea label="Documents" hint="One on each line." value={text} onInput={setText} rows={5} />
      </RunForm>
      <Said>{answer && `First: ${documents[ranked[0]?.index ?? -1] ?? 'none'}`}</Said>
      {answer !== undefined && (
        <section class="text-answer" aria-label="Answer">
          <Bars
            bars={ranked.map(({ index, score }, rank) => ({
              label: `${rank + 1}. ${documents[index] ?? ''}`,
              share: (score - low) / (high - low),
              value: score.toFixed(3),
            }))}
          />
        </section>
      )}
    </div>
  )
}
