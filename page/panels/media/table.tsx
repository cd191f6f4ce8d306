import { useMemo, useState } from 'preact/hooks'
import { type Prediction, predictionsIn, type Score } from '../../media/answers.ts'
import { TABLE_LIMITS } from '../../media/limits.ts'
import { percentage } from '../../media/percentage.ts'
import { sizeInWords } from '../../media/size-words.ts'
import {
  type Column,
  cellProblem,
  columnsOf,
  fixedRows,
  type Row,
  rowsOf,
  tableInput,
} from '../../media/table-cells.ts'
import { readCsv } from '../../media/table-text.ts'
import { Bars, Button, Notice, Said } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { FileButton } from './file-button.tsx'
import { RunRow } from './run-row.tsx'
import { TableEditor } from './table-editor.tsx'
import { useIncomingFiles } from './use-files.ts'
import './media.css'

/** An answer for each row of a table. */
export function TablePanel(props: PanelProps) {
  const { model } = props
  const example = model.example?.inputs
  const columns = useMemo(() => columnsOf(example, model.inputs), [example, model.inputs])
  if (columns === undefined || columns.length === 0) {
    return (
      <Notice kind="bad" title="The columns of this model are not known">
        <p>Its settings and its inputs do not agree. Push the model again with its columns in verge.json.</p>
      </Notice>
    )
  }
  return <Editable {...props} columns={columns} />
}

function Editable({ answer, busy, columns, model, run }: PanelProps & { readonly columns: readonly Column[] }) {
  const fixed = fixedRows(model.inputs)
  const example = useMemo(() => rowsOf(model.example?.inputs, columns), [model, columns])
  const [rows, setRows] = useState(example)
  const [selected, setSelected] = useState(0)
  const [problem, setProblem] = useState<string>()
  const classifies = model.task === 'tabular-classification'
  const [scored, setScored] = useState(() => classifies && hasScores(model))
  const most = Math.min(fixed ?? TABLE_LIMITS.rows, Math.floor(TABLE_LIMITS.cells / columns.length))
  const input = useMemo(() => tableInput(rows, columns), [rows, columns])
  const wrong = useMemo(() => firstProblem(rows, columns), [rows, columns])
  const mine = answer?.request.input === input
  const predictions = mine ? predictionsIn(answer.output) : undefined
  const change = (next: readonly Row[]): void => {
    setProblem(undefined)
    setRows(next)
  }
  const open = async (file: File): Promise<void> => {
    const read = await csvOf(file, columns)
    if ('ok' in read) change(read.ok)
    else setProblem(read.problem)
  }
  const dragging = useIncomingFiles((file) => void open(file))
  return (
    <div class="media-panel">
      <div class={dragging ? 'media-input media-drop media-drop-ready' : 'media-input media-drop'}>
        <div class="media-actions">
          <FileButton
            accept=".csv,.tsv,text/csv,text/tab-separated-values,text/plain"
            onFile={(file) => void open(file)}
          >
            Open a CSV file
          </FileButton>
          <Button kind="quiet" onClick={() => change(example)}>
            Use the example
          </Button>
        </div>
        <p class="media-hint">
          Cells copied from a spreadsheet can be pasted into any cell, and CSV files dropped here.
        </p>
        {problem !== undefined && (
          <Notice kind="bad" title="The table was not changed">
            <p>{problem}</p>
          </Notice>
        )}
      </div>
      <TableEditor
        rows={rows}
        columns={columns}
        most={most}
        fixed={fixed !== undefined}
        selected={selected}
        onSelect={setSelected}
        onRows={change}
        onProblem={setProblem}
        answers={predictions?.map(inWords)}
      />
      <RunRow
        busy={busy}
        missing={wrong ?? rowsProblem(rows.length, fixed)}
        onRun={() => void run({ method: 'run', input, ...(scored && { parameters: { return_scores: true } }) })}
      >
        {classifies && (
          <label class="media-check">
            <input type="checkbox" checked={scored} onChange={() => setScored(!scored)} />
            Scores of all classes
          </label>
        )}
      </RunRow>
      <Said>{predictions && countInWords(predictions.length)}</Said>
      {predictions !== undefined && (
        <section class="media-answer" aria-label="Answer">
          <p class="media-best">{countInWords(predictions.length)}</p>
          <RowScores prediction={predictions[selected]} row={selected} />
        </section>
      )}
    </div>
  )
}

function countInWords(count: number): string {
  return `${count === 1 ? 'One answer' : `${count} answers`}, beside the numbers of the rows.`
}

/** The scores of the row that has the focus, or had it last. */
function RowScores({ prediction, row }: { readonly prediction: Prediction | undefined; readonly row: number }) {
  if (!isScores(prediction)) return null
  return (
    <>
      <h2 class="media-row-title">{`Row ${row + 1}`}</h2>
      <Bars bars={prediction.map(({ label, score }) => ({ label, share: score }))} />
    </>
  )
}

function inWords(prediction: Prediction): string {
  if (typeof prediction === 'string') return prediction
  if (typeof prediction === 'number') return numberInWords(prediction)
  if (isScores(prediction)) {
    const [best] = prediction
    return best === undefined ? '' : `${best.label}, ${percentage(best.score)}`
  }
  return prediction.map((value) => (typeof value === 'number' ? numberInWords(value) : '')).join(', ')
}

function numberInWords(value: number): string {
  return Number.isInteger(value) ? `${value}` : `${Number(value.toPrecision(7))}`
}

function isScores(prediction: Prediction | undefined): prediction is readonly Score[] {
  return Array.isArray(prediction) && prediction.length > 0 && typeof prediction[0] === 'object'
}

/** Whether the model can name and weigh its classes. */
function hasScores({ labels, outputs }: PanelProps['model']): boolean {
  return labels !== undefined && outputs.some(({ datatype }) => datatype.startsWith('FP'))
}

function firstProblem(rows: readonly Row[], columns: readonly Column[]): string | undefined {
  for (const [i, row] of rows.entries()) {
    for (const [j, column] of columns.entries()) {
      const problem = cellProblem(row[j] ?? '', column)
      if (problem !== undefined) return `Row ${i + 1}, column ${column.name}: ${problem}`
    }
  }
  return undefined
}

function rowsProblem(count: number, fixed: number | undefined): string | undefined {
  if (count === 0) return 'Add a row first.'
  if (fixed === undefined || count === fixed) return undefined
  return `This model takes ${fixed === 1 ? 'one row' : `exactly ${fixed} rows`} at a time.`
}

async function csvOf(file: File, columns: readonly Column[]) {
  // UTF-16 takes two bytes for each character of a cell.
  const most = 2 * TABLE_LIMITS.fileBytes
  if (file.size > most) {
    return { problem: `The file "${file.name}" is too large for a table. Choose one of at most ${sizeInWords(most)}.` }
  }
  try {
    const text = decodedText(new Uint8Array(await file.arrayBuffer()))
    return readCsv(text, columns, TABLE_LIMITS)
  } catch {
    return {
      problem: `The file "${file.name}" is not text in UTF-8 or UTF-16. Save it as CSV in UTF-8, and choose it again.`,
    }
  }
}

/** @throws TypeError if it is neither */
function decodedText(bytes: Uint8Array): string {
  const mark = `${bytes[0]},${bytes[1]}`
  const encoding = mark === '255,254' ? 'utf-16le' : mark === '254,255' ? 'utf-16be' : 'utf-8'
  return new TextDecoder(encoding, { fatal: true }).decode(bytes)
}
