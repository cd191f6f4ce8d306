import { useState } from 'preact/hooks'
import { percentage } from '../../media/percentage.ts'
import { Bars, Said, TextArea } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { missingText } from './classification.tsx'
import { exampleTexts } from './examples.ts'
import { RunForm } from './form.tsx'
import { type Proposal, readProposals } from './readers.ts'
import './text.css'

/** A text with a mask in place of words; the words that the model proposes for each. */
export function FillMaskPanel({ answer, busy, model, run }: PanelProps) {
  const [example = ''] = exampleTexts(model)
  const [text, setText] = useState(example)
  const mine = answer?.request.input === text ? answer : undefined
  const masks = readProposals(mine?.output)
  const token = example.match(/\[\w+\]|<\w+>/)?.[0]
  return (
    <div class="text-panel">
      <RunForm busy={busy} missing={missingText(text)} onRun={() => void run({ method: 'run', input: text })}>
        <TextArea
          label="Text"
          {...(token !== undefined && { hint: `${token} stands in place of each word to find.` })}
          value={text}
          onInput={setText}
        />
      </RunForm>
      <Said>{mine && bestWords(masks)}</Said>
      {mine !== undefined && (
        <section class="text-answer" aria-label="Answer">
          {masks.map((proposals, i) => (
            <div key={`${i}`}>
              {masks.length > 1 && <p class="field-label">Word {i + 1}</p>}
              <Bars bars={proposals.map(({ word, score }) => ({ label: word, share: score }))} />
            </div>
          ))}
          {masks.length === 1 && <p class="text-best">{masks[0]?.[0]?.sequence}</p>}
        </section>
      )}
    </div>
  )
}

function bestWords(masks: readonly (readonly Proposal[])[]): string {
  const best = masks.flatMap(([first]) => (first === undefined ? [] : [`${first.word}, ${percentage(first.score)}`]))
  return best.length === 0 ? 'The model proposed no word.' : best.join('; ')
}
