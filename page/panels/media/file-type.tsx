import { useState } from 'preact/hooks'
import { scoresIn } from '../../media/answers.ts'
import { FILE_EXAMPLES, partsOf } from '../../media/file-parts.ts'
import { FILE_BYTES } from '../../media/limits.ts'
import { sizeInWords } from '../../media/size-words.ts'
import { typedCount } from '../../media/typed-number.ts'
import { Button, Notice } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { FileButton } from './file-button.tsx'
import { NumberInput, useNumber } from './number-field.tsx'
import { RunRow } from './run-row.tsx'
import { Scores } from './scores.tsx'
import { useIncomingFiles } from './use-files.ts'
import './media.css'

/** The server reads it as a file only under this type. */
const TYPE = 'application/octet-stream'

interface Chosen {
  readonly name: string
  readonly blob: Blob
  readonly note?: string
}

/** What a file is, by its bytes. */
export function FileTypePanel({ answer, busy, run }: PanelProps) {
  const [chosen, setChosen] = useState<Chosen | undefined>(() => example(0))
  const [problem, setProblem] = useState<string>()
  const topK = useNumber(typedCount)
  const open = (file: File): void => {
    const opened = openedFile(file)
    setProblem('problem' in opened ? opened.problem : undefined)
    if ('blob' in opened) setChosen(opened)
  }
  const dragging = useIncomingFiles(open)
  const mine = chosen !== undefined && answer?.request.input === chosen.blob
  const scores = mine ? scoresIn(answer.output) : undefined
  return (
    <div class="media-panel">
      <div class={dragging ? 'media-input media-drop media-drop-ready' : 'media-input media-drop'}>
        <div class="media-actions">
          <FileButton onFile={open}>Choose a file</FileButton>
          {FILE_EXAMPLES.map(({ name }, i) => (
            <Button
              key={name}
              kind="quiet"
              onClick={() => {
                setProblem(undefined)
                setChosen(example(i))
              }}
            >
              {name}
            </Button>
          ))}
        </div>
        <p class="media-facts" role="status">
          {chosen !== undefined && `${chosen.name}, ${sizeInWords(chosen.blob.size)}`}
        </p>
        <p class="media-hint">{dragging ? 'Drop the file to open it.' : 'Drop any file here, or paste one.'}</p>
        {problem !== undefined && (
          <Notice kind="bad" title="The file was not opened">
            <p>{problem}</p>
          </Notice>
        )}
        {problem === undefined && chosen?.note !== undefined && (
          <Notice>
            <p>{chosen.note}</p>
          </Notice>
        )}
      </div>
      <RunRow
        busy={busy}
        missing={chosen === undefined ? 'Choose a file first.' : topK.problem}
        onRun={() => {
          const parameters = topK.value === undefined ? {} : { top_k: topK.value }
          void run({ method: 'run', input: chosen?.blob, parameters })
        }}
      >
        <NumberInput label="Labels in the answer" field={topK} empty="5" />
      </RunRow>
      <Scores scores={scores} />
    </div>
  )
}

function example(index: number): Chosen | undefined {
  const found = FILE_EXAMPLES[index]
  return found && { name: found.name, blob: new Blob([found.text], { type: TYPE }) }
}

function openedFile(file: File): Chosen | { readonly problem: string } {
  if (file.size === 0) return { problem: `The file "${file.name}" is empty. Choose another one.` }
  const parts = partsOf(file.size, FILE_BYTES)
  const blob = new Blob(
    parts.map(([from, to]) => file.slice(from, to)),
    { type: TYPE },
  )
  if (parts.length === 1) return { name: file.name, blob }
  const note = `The file has ${sizeInWords(file.size)}, and a request may have ${sizeInWords(FILE_BYTES)}. Only its beginning and its end are sent. Models that look at the middle, too, may be less sure.`
  return { name: file.name, blob, note }
}
