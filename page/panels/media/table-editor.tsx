import { useState } from 'preact/hooks'
import { type Column, cellProblem, KIND_NAMES, type Row } from '../../media/table-cells.ts'
import { isSeveralCells, pastedCells, withPasted } from '../../media/table-text.ts'
import { Button } from '../../ui/index.ts'
import './table.css'

/** Rows that are shown at a time: thousands of fields would make typing slow. */
const PAGE_ROWS = 50

export interface TableEditorProps {
  readonly rows: readonly Row[]
  readonly columns: readonly Column[]
  /** Rows that the table may have. */
  readonly most: number
  /** The number of rows cannot be changed. */
  readonly fixed: boolean
  /** The row that has the focus, or had it last. */
  readonly selected: number
  readonly onSelect: (row: number) => void
  readonly onRows: (rows: readonly Row[]) => void
  readonly onProblem: (problem: string) => void
  /** The answer to each row, in words. */
  readonly answers?: readonly string[] | undefined
}

/** A table of fields, one for each cell; the arrow keys up and down move between rows. */
export function TableEditor(props: TableEditorProps) {
  const { answers, columns, fixed, most, onRows, onSelect, rows } = props
  const [page, setPage] = useState(0)
  const pages = Math.max(1, Math.ceil(rows.length / PAGE_ROWS))
  const shown = Math.min(page, pages - 1)
  const from = shown * PAGE_ROWS
  const add = (): void => {
    onRows([...rows, columns.map(() => '')])
    onSelect(rows.length)
    setPage(Math.floor(rows.length / PAGE_ROWS))
  }
  return (
    <div class="table">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a wide table is scrolled by keyboard */}
      <section class="table-scroll" aria-label="Rows" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Row</th>
              {answers !== undefined && <th scope="col">Answer</th>}
              {columns.map(({ kind, name }) => (
                <th scope="col" key={name}>
                  {name}
                  <span class="table-kind">{KIND_NAMES[kind]}</span>
                </th>
              ))}
              {!fixed && (
                <th scope="col">
                  <span class="only-read-aloud">Remove</span>
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {rows.slice(from, from + PAGE_ROWS).map((row, i) => (
              <TableRow key={`${from + i}`} {...props} row={row} index={from + i} />
            ))}
          </tbody>
        </table>
      </section>
      <div class="media-actions">
        {!fixed && (
          <Button disabled={rows.length >= most} onClick={add}>
            Add a row
          </Button>
        )}
        {pages > 1 && (
          <>
            <Button disabled={shown === 0} onClick={() => setPage(shown - 1)}>
              Rows before
            </Button>
            <Button disabled={shown === pages - 1} onClick={() => setPage(shown + 1)}>
              Rows after
            </Button>
          </>
        )}
        <span class="media-facts" role="status">
          {pages > 1
            ? `Rows ${from + 1} to ${Math.min(rows.length, from + PAGE_ROWS)} of ${rows.length}`
            : `${rows.length} ${rows.length === 1 ? 'row' : 'rows'}`}
        </span>
      </div>
    </div>
  )
}

function TableRow(props: TableEditorProps & { readonly row: Row; readonly index: number }) {
  const { answers, columns, fixed, index, most, onProblem, onRows, onSelect, row, rows, selected } = props
  const set = (column: number, text: string): void => {
    onRows(rows.map((one, i) => (i === index ? one.map((old, j) => (j === column ? text : old)) : one)))
  }
  const paste = (event: ClipboardEvent, column: number): void => {
    const text = event.clipboardData?.getData('text/plain') ?? ''
    if (!isSeveralCells(text)) return
    event.preventDefault()
    const pasted = withPasted(rows, pastedCells(text), { row: index, column }, columns, most)
    if ('ok' in pasted) onRows(pasted.ok.rows)
    else onProblem(pasted.problem)
  }
  return (
    <tr class={index === selected ? 'table-selected' : ''} onFocusCapture={() => onSelect(index)}>
      <th scope="row">{index + 1}</th>
      {answers !== undefined && <td class="table-answer">{answers[index]}</td>}
      {columns.map((column, j) => (
        <td key={column.name}>
          <Cell
            column={column}
            text={row[j] ?? ''}
            row={index}
            onText={(text) => set(j, text)}
            onPaste={(event) => paste(event, j)}
          />
        </td>
      ))}
      {!fixed && (
        <td>
          <button
            type="button"
            class="button button-quiet table-remove"
            aria-label={`Remove row ${index + 1}`}
            onClick={() => onRows(rows.filter((_, i) => i !== index))}
          >
            ×
          </button>
        </td>
      )}
    </tr>
  )
}

interface CellProps {
  readonly column: Column
  readonly text: string
  /** From 0. */
  readonly row: number
  readonly onText: (text: string) => void
  readonly onPaste: (event: ClipboardEvent) => void
}

function Cell({ column, onPaste, onText, row, text }: CellProps) {
  const problem = cellProblem(text, column)
  const common = {
    class: problem === undefined ? 'cell' : 'cell cell-wrong',
    'aria-label': `${column.name}, row ${row + 1}`,
    'aria-invalid': problem !== undefined,
    ...(problem !== undefined && { title: problem }),
    value: text,
  }
  if (column.kind === 'boolean' && (text === '' || text === 'true' || text === 'false')) {
    return (
      <select {...common} onChange={({ currentTarget }) => onText(currentTarget.value)}>
        <option value="">empty</option>
        <option value="true">true</option>
        <option value="false">false</option>
      </select>
    )
  }
  return (
    <input
      {...common}
      type="text"
      autocomplete="off"
      spellcheck={false}
      inputmode={column.kind === 'integer' || column.kind === 'number' ? 'decimal' : 'text'}
      onInput={({ currentTarget }) => onText(currentTarget.value)}
      onPaste={onPaste}
      onKeyDown={(event) => {
        const down = event.key === 'ArrowDown' || event.key === 'Enter'
        if (!down && event.key !== 'ArrowUp') return
        event.preventDefault()
        cellBeside(event.currentTarget, down)?.focus()
      }}
    />
  )
}

/** The field of the same column in the next row or the one before. */
function cellBeside(cell: HTMLElement, down: boolean): HTMLElement | null | undefined {
  const place = cell.closest('td')
  const row = place?.parentElement
  const other = down ? row?.nextElementSibling : row?.previousElementSibling
  return place && other?.children[place.cellIndex]?.querySelector('input, select')
}
