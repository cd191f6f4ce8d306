import { useMemo, useState } from 'preact/hooks'
import type { Inferred, TensorInput } from '../../../src/client/page.ts'
import type { TensorInfo } from '../../models.ts'
import { draftOf, type Fill, parseTensor, type TensorDraft } from '../../tensors/draft.ts'
import type { Parsed } from '../../tensors/elements.ts'
import { numberText, summarize, type TensorSummary } from '../../tensors/summary.ts'
import { Button, Choice, Scroll, TextArea, TextInput } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import './tensors.css'

const FILLS: readonly { readonly value: Fill; readonly label: string }[] = [
  { value: 'typed', label: 'Typed' },
  { value: 'ramp', label: 'Counting up' },
  { value: 'zeros', label: 'Zeros' },
]

/** A model without a task, or with one that the page does not know: tensors in, tensors out. */
export default function TensorsPanel({ answer, busy, model, run }: PanelProps) {
  const [drafts, setDrafts] = useState<Readonly<Record<string, TensorDraft>>>({})
  const [sent, setSent] = useState(drafts)
  const inputs = model.inputs.map((spec) => {
    const draft = drafts[spec.name] ?? draftOf(spec)
    return { spec, draft, parsed: parseTensor(draft, spec) }
  })
  const ready = !busy && inputs.every(({ parsed }) => 'value' in parsed)
  return (
    <div class="tensors">
      <form
        class="tensors-form"
        onSubmit={(event) => {
          event.preventDefault()
          if (!ready) return
          setSent(drafts)
          void run({ method: 'infer', input: tensorsOf(inputs) })
        }}
      >
        {inputs.map(({ draft, parsed, spec }) => (
          <Input
            key={spec.name}
            spec={spec}
            draft={draft}
            problem={'problem' in parsed ? parsed.problem : undefined}
            onDraft={(next) => setDrafts({ ...drafts, [spec.name]: next })}
          />
        ))}
        <div>
          <Button kind="primary" type="submit" disabled={!ready}>
            Run
          </Button>
        </div>
      </form>
      {answer?.request.method === 'infer' && sent === drafts && <Outputs inferred={answer.output as Inferred} />}
    </div>
  )
}

function tensorsOf(inputs: readonly { readonly spec: TensorInfo; readonly parsed: Parsed<TensorInput> }[]) {
  return Object.fromEntries(
    inputs.flatMap(({ parsed, spec }) => ('value' in parsed ? [[spec.name, parsed.value] as const] : [])),
  )
}

interface InputProps {
  readonly spec: TensorInfo
  readonly draft: TensorDraft
  readonly problem: string | undefined
  readonly onDraft: (draft: TensorDraft) => void
}

function Input({ draft, onDraft, problem, spec: { datatype, name, shape } }: InputProps) {
  const wanted = shape.map((dimension) => (dimension < 0 ? 'any' : dimension)).join(', ')
  return (
    <fieldset class="tensor">
      <legend>
        <code>{name}</code> <span class="tensor-type">{datatype}</span>
      </legend>
      {shape.some((dimension) => dimension < 0) ? (
        <TextInput
          label="Shape"
          value={draft.shape}
          onInput={(text) => onDraft({ ...draft, shape: text })}
          hint={`The model takes ${wanted}.`}
        />
      ) : (
        <p class="tensor-shape">Shape {wanted === '' ? 'of one number' : wanted}</p>
      )}
      <Choice label="Numbers" options={FILLS} value={draft.fill} onChange={(fill) => onDraft({ ...draft, fill })} />
      {draft.fill === 'typed' && (
        <TextArea
          code
          label="Elements"
          value={draft.typed}
          onInput={(typed) => onDraft({ ...draft, typed })}
          hint={datatype === 'BYTES' ? 'One text a line.' : 'In row-major order, separated by commas or spaces.'}
        />
      )}
      <p class="tensor-problem" aria-live="polite">
        {problem}
      </p>
    </fieldset>
  )
}

function Outputs({ inferred }: { readonly inferred: Inferred }) {
  const summaries = useMemo(
    () => Object.entries(inferred.outputs).map(([name, tensor]) => summarize(name, tensor)),
    [inferred],
  )
  return (
    <section class="tensors-answer" aria-label="Answer">
      {summaries.map((summary) => (
        <Output key={summary.name} summary={summary} />
      ))}
    </section>
  )
}

function Output({ summary: { datatype, first, more, name, range, shape } }: { readonly summary: TensorSummary }) {
  return (
    <div class="tensor-output">
      <h2>
        <code>{name}</code>{' '}
        <span class="tensor-type">
          {datatype} {shape}
        </span>
      </h2>
      {range !== undefined && (
        <p class="tensor-range">
          From {numberText(range.least)} to {numberText(range.most)}, mean {numberText(range.mean)}
        </p>
      )}
      <Scroll kind="code" label={`Elements of ${name}`}>
        <pre>
          <code>
            {first.join('  ')}
            {more > 0 && `  and ${more.toLocaleString('en')} more`}
          </code>
        </pre>
      </Scroll>
    </div>
  )
}
