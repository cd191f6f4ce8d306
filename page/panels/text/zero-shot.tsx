import { useState } from 'preact/hooks'
import { Bars, Button, Said, TextArea, TextInput } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { bestInWords, missingText } from './classification.tsx'
import { exampleTexts } from './examples.ts'
import { RunForm } from './form.tsx'
import { readZeroShot } from './readers.ts'
import './text.css'

const LABELS = ['delivery', 'price', 'quality']

/** Labels to begin with: those of the task's example. */
export function exampleLabels({ example }: PanelProps['model']): readonly string[] {
  const given = example?.parameters?.candidate_labels
  return Array.isArray(given) ? given.filter((label): label is string => typeof label === 'string') : LABELS
}

/** A text and labels of the visitor's own; which of them fit. */
export function ZeroShotPanel({ answer, busy, model, run }: PanelProps) {
  const [text, setText] = useState(exampleTexts(model)[0] ?? '')
  const [labels, setLabels] = useState(exampleLabels(model))
  const [several, setSeveral] = useState(false)
  const missing = missingText(text) ?? (labels.length === 0 ? 'Add a label first.' : undefined)
  const start = (): void => {
    const parameters = { candidate_labels: labels, ...(several && { multi_label: true }) }
    void run({ method: 'run', input: text, parameters })
  }
  const mine =
    answer?.request.input === text && answer.request.parameters?.candidate_labels === labels ? answer : undefined
  const found = readZeroShot(mine?.output)
  return (
    <div class="text-panel">
      <RunForm busy={busy} missing={missing} onRun={start}>
        <TextArea label="Text" value={text} onInput={setText} />
        <LabelsEditor labels={labels} onChange={setLabels} />
        <label class="text-check">
          <input type="checkbox" checked={several} onChange={() => setSeveral(!several)} />
          Several labels may be right
        </label>
      </RunForm>
      <Said>{mine && bestInWords(found)}</Said>
      {mine !== undefined && (
        <section class="text-answer" aria-label="Answer">
          <Bars bars={found.map(({ label, score }) => ({ label, share: score }))} />
        </section>
      )}
    </div>
  )
}

interface LabelsEditorProps {
  readonly labels: readonly string[]
  readonly onChange: (labels: readonly string[]) => void
}

/** Labels to add and to take away. A comma or Enter ends one. */
export function LabelsEditor({ labels, onChange }: LabelsEditorProps) {
  const [draft, setDraft] = useState('')
  const add = (text: string): void => {
    const more = text
      .split(',')
      .map((label) => label.trim())
      .filter((label) => label !== '')
    onChange([...new Set([...labels, ...more])])
    setDraft('')
  }
  return (
    <fieldset
      class="labels"
      onKeyDown={(event) => {
        if (event.key !== 'Enter' || event.ctrlKey || event.metaKey || draft.trim() === '') return
        event.preventDefault()
        add(draft)
      }}
    >
      <legend class="field-label">Labels</legend>
      <ul class="labels-list">
        {labels.map((label) => (
          <li key={label} class="labels-item">
            {label}
            <button
              type="button"
              class="labels-remove"
              aria-label={`Remove the label ${label}`}
              onClick={() => onChange(labels.filter((other) => other !== label))}
            >
              ×
            </button>
          </li>
        ))}
      </ul>
      <div class="labels-add">
        <TextInput
          label="New label"
          value={draft}
          onInput={(value) => (value.includes(',') ? add(value) : setDraft(value))}
        />
        <Button onClick={() => add(draft)} disabled={draft.trim() === ''}>
          Add
        </Button>
      </div>
    </fieldset>
  )
}
