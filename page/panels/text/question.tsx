import { useState } from 'preact/hooks'
import { Bars, Said, TextArea, TextInput } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { missingText } from './classification.tsx'
import { exampleText } from './examples.ts'
import { RunForm } from './form.tsx'
import { MarkedText } from './marked.tsx'
import { readAnswers } from './readers.ts'
import './text.css'

const CONTEXT = 'Ada Lovelace wrote the first program in 1843, for a machine that Charles Babbage never finished.'
const QUESTION = 'Who wrote the first program?'
const ANSWERS = 3

/** A question and a text; the part of the text that answers it. */
export function QuestionPanel({ answer, busy, model, run }: PanelProps) {
  const [question, setQuestion] = useState(exampleText(model, 'question', QUESTION))
  const [context, setContext] = useState(exampleText(model, 'context', CONTEXT))
  const missing = missingText(context) ?? (question.trim() === '' ? 'Type a question first.' : undefined)
  const start = (): void =>
    void run({ method: 'run', input: { question, context }, parameters: { top_k: ANSWERS, offsets: 'utf16' } })
  const sent = answer?.request.input as { readonly context?: string; readonly question?: string } | undefined
  const mine = sent?.question === question && sent.context === context ? answer : undefined
  const found = readAnswers(mine?.output)
  const [best] = found
  const words = best === undefined || best.answer === '' ? 'The model found no answer.' : best.answer
  return (
    <div class="text-panel">
      <RunForm busy={busy} missing={missing} onRun={start}>
        <TextInput label="Question" value={question} onInput={setQuestion} />
        <TextArea label="Text that has the answer" value={context} onInput={setContext} rows={6} />
      </RunForm>
      <Said>{mine && words}</Said>
      {mine !== undefined && (
        <section class="text-answer" aria-label="Answer">
          <p class="text-best">{words}</p>
          <MarkedText text={context} spans={best === undefined ? [] : [{ ...best, label: '' }]} labels={[]} />
          {found.length > 1 && (
            <Bars
              bars={found.map(({ answer, score, start }) => ({
                label: `${answer === '' ? 'no answer' : answer} (at ${start})`,
                share: score,
              }))}
            />
          )}
        </section>
      )}
    </div>
  )
}
