import { useState } from 'preact/hooks'
import { Bars, Choice, TextArea } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { missingText } from './classification.tsx'
import { exampleList } from './examples.ts'
import { RunForm } from './form.tsx'
import { HeatMap } from './heat-map.tsx'
import { readSparse, readTokenVectors, readVectors } from './readers.ts'
import './text.css'
import { linesOf, maxSims, similarities, sparseProducts } from './vectors.ts'

const SENTENCES = [
  'How do I get my money back?',
  'Refunds are paid within a week.',
  'Our shops open at nine.',
  'The cat sleeps on the sofa.',
]

type Kind = NonNullable<PanelProps['model']['kinds']>[number]

const KINDS: Readonly<Record<Kind, string>> = {
  dense: 'One vector',
  sparse: 'Sparse',
  tokens: 'One vector per token',
}

/** Sentences; how similar each is to each by the kind of vectors that the visitor chooses, as a heat map. */
export function EmbeddingsPanel({ answer, busy, model, run }: PanelProps) {
  const examples = exampleList(model, undefined, SENTENCES)
  const [text, setText] = useState([...new Set([...examples, ...SENTENCES])].join('\n'))
  const kinds = model.kinds ?? ['dense']
  const [kind, setKind] = useState<Kind>(kinds[0] ?? 'dense')
  const lines = linesOf(text)
  const start = (): void =>
    void run(
      kind === 'dense'
        ? { method: 'embed', input: lines }
        : { method: 'run', input: lines, parameters: { kinds: [kind] } },
    )
  return (
    <div class="text-panel">
      <RunForm busy={busy} missing={missingText(text)} onRun={start}>
        <TextArea label="Sentences" hint="One on each line." value={text} onInput={setText} rows={5} />
        {kinds.length > 1 && (
          <Choice
            label="Vectors"
            value={kind}
            options={kinds.map((value) => ({ value, label: KINDS[value] }))}
            onChange={setKind}
          />
        )}
      </RunForm>
      {answer !== undefined && (
        <section class="text-answer" aria-label="Answer">
          <Found answer={answer} />
        </section>
      )}
    </div>
  )
}

/** Tokens of a sentence with the greatest weights that are shown. */
const SHOWN = 8

function Found({ answer }: { readonly answer: NonNullable<PanelProps['answer']> }) {
  const { output, request } = answer
  const names = (request.input ?? []) as readonly string[]
  const [asked] = (request.parameters?.kinds ?? []) as readonly Kind[]
  if (asked === 'sparse') {
    const vectors = readSparse(output)
    const products = sparseProducts(vectors)
    return (
      <>
        <p class="text-hint">
          Weights of tokens, by their numbers in the vocabulary. The map has the product of each pair: the sum over the
          tokens that both have.
        </p>
        <HeatMap names={names} values={products} most={Math.max(...products.flat(), 0.01)} />
        {vectors.map(({ indices, values }, i) => (
          <section key={i}>
            <h3 class="text-hint">
              {i + 1}. {names[i]} ({indices.length} tokens)
            </h3>
            <Bars bars={strongest(indices, values)} />
          </section>
        ))}
      </>
    )
  }
  if (asked === 'tokens') {
    const vectors = readTokenVectors(output)
    const scores = maxSims(vectors)
    return (
      <>
        <p class="text-hint">
          {vectors.map((own) => own.length).join(', ')} vectors of {vectors[0]?.[0]?.length ?? 0} numbers. The map has
          MaxSim of each pair, the row as the query: for each of its tokens the most similar one, added up.
        </p>
        <HeatMap names={names} values={scores} most={Math.max(...scores.flat(), 0.01)} />
      </>
    )
  }
  const vectors = readVectors(output)
  return (
    <>
      <p class="text-hint">
        {vectors.length} vectors of {vectors[0]?.length ?? 0} numbers. The map has the cosine of each pair: 1 is the
        same direction.
      </p>
      <HeatMap names={names} values={similarities(vectors)} />
    </>
  )
}

function strongest(indices: readonly number[], values: readonly number[]) {
  const most = Math.max(...values, 0.01)
  return indices
    .map((token, i) => ({ token, weight: values[i] ?? 0 }))
    .sort((a, b) => b.weight - a.weight)
    .slice(0, SHOWN)
    .map(({ token, weight }) => ({ label: `Token ${token}`, share: weight / most, value: weight.toFixed(2) }))
}
