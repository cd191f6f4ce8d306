import { useState } from 'preact/hooks'
import { percentage } from '../../media/percentage.ts'
import { Said, Scroll, TextArea } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { missingText } from './classification.tsx'
import { exampleTexts } from './examples.ts'
import { RunForm } from './form.tsx'
import { MarkedText } from './marked.tsx'
import { readEntities } from './readers.ts'
import './text.css'

/** A text; names, places and other entities marked in it. */
export function EntitiesPanel({ answer, busy, model, run }: PanelProps) {
  const [text, setText] = useState(exampleTexts(model)[0] ?? '')
  // JavaScript counts characters in UTF-16 units.
  const start = (): void => void run({ method: 'run', input: text, parameters: { offsets: 'utf16' } })
  const sent = typeof answer?.request.input === 'string' ? answer.request.input : ''
  const spans = readEntities(answer?.output)
  const words =
    spans.length === 0
      ? 'The model found no entities.'
      : spans.map(({ end, label, start }) => `${sent.slice(start, end)}, ${label}`).join('. ')
  return (
    <div class="text-panel">
      <RunForm busy={busy} missing={missingText(text)} onRun={start}>
        <TextArea label="Text" value={text} onInput={setText} />
      </RunForm>
      <Said>{answer && words}</Said>
      {answer !== undefined && (
        <section class="text-answer" aria-label="Answer">
          <MarkedText text={sent} spans={spans} labels={[...new Set(spans.map(({ label }) => label))].sort()} />
          {spans.length === 0 ? (
            <p class="text-hint">{words}</p>
          ) : (
            <Scroll label="Entities">
              <table class="facts-table">
                <thead>
                  <tr>
                    <th scope="col">Entity</th>
                    <th scope="col">Kind</th>
                    <th scope="col">Score</th>
                  </tr>
                </thead>
                <tbody>
                  {spans.map(({ end, label, score, start }) => (
                    <tr key={`${start}-${end}-${label}`}>
                      <td>{sent.slice(start, end)}</td>
                      <td>{label}</td>
                      <td>{percentage(score)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </Scroll>
          )}
        </section>
      )}
    </div>
  )
}
