import { useState } from 'preact/hooks'
import { Scroll, TextArea } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { missingText } from './classification.tsx'
import { exampleList } from './examples.ts'
import { RunForm } from './form.tsx'
import { readVectors } from './readers.ts'
import './text.css'
import { linesOf, similarities } from './vectors.ts'

const SENTENCES = [
  'How do I get my money back?',
  'Refunds are paid within a week.',
  'Our shops open at nine.',
  'The cat sleeps on the sofa.',
]

/** Sentences; how similar each is to each, as a heat map. */
export function EmbeddingsPanel({ answer, busy, model, run }: PanelProps) {
  const examples = exampleList(model, undefined, SENTENCES)
  const [text, setText] = useState([...new Set([...examples, ...SENTENCES])].join('\n'))
  const lines = linesOf(text)
  const vectors = readVectors(answer?.output)
  const sent = (answer?.request.input ?? []) as readonly string[]
  return (
    <div class="text-panel">
      <RunForm busy={busy} missing={missingText(text)} onRun={() => void run({ method: 'embed', input: lines })}>
        <TextArea label="Sentences" hint="One on each line." value={text} onInput={setText} rows={5} />
      </RunForm>
      {answer !== undefined && (
        <section class="text-answer" aria-label="Answer">
          <p class="text-hint">
            {vectors.length} vectors of {vectors[0]?.length ?? 0} numbers. The map has the cosine of each pair: 1 is the
            same direction.
          </p>
          <HeatMap names={sent} values={similarities(vectors)} />
        </section>
      )}
    </div>
  )
}

/** Per cent of colour: sentences of one language are seldom less similar than 0.3, so that high numbers need the contrast. */
function heat(similarity: number): number {
  return Math.round(STRONGEST * Math.max(0, Math.min(1, similarity)) ** 3)
}

/** Numbers stay readable on this much colour. */
const STRONGEST = 45

/** A table whose cells have the colour of their number. */
function HeatMap({
  names,
  values,
}: {
  readonly names: readonly string[]
  readonly values: readonly (readonly number[])[]
}) {
  return (
    <Scroll label="Similarities">
      <table class="heat">
        <thead>
          <tr>
            <td />
            {values.map((_, column) => (
              <th key={column} scope="col">
                <abbr title={names[column]}>{column + 1}</abbr>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {values.map((row, index) => (
            <tr key={index}>
              <th scope="row">
                {index + 1}. {names[index]}
              </th>
              {row.map((value, column) => (
                <td key={column} class="heat-cell" style={{ '--heat': `${heat(value)}%` }}>
                  {value.toFixed(2)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  )
}
