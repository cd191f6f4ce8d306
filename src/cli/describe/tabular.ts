import type { TaskName } from '../../catalog/manifest.ts'
import { MOST_COLUMNS, type TabularSettings } from '../../catalog/settings/tabular.ts'
import type { Signature, TensorSpec } from '../../core/tensors.ts'
import type { Guess, TaskFields } from './context.ts'
import type { LabelOutcome } from './labels.ts'
import { objectOf, type Settings, sizeOf } from './settings.ts'

type Said = { readonly [K in keyof TaskFields]?: TaskFields[K] | undefined }

/** Rows of an example, of which skops writes three or more. */
const EXAMPLE_ROWS = 3

/**
 * Recognises a model for tables by the fields that skops writes into `config.json` beside scikit-learn's models
 * (`sklearn.task`, `sklearn.columns`, `sklearn.example_input`), or by the given task. Undefined for other models.
 */
export function guessTabular(config: Settings, signature: Signature, said: Said): LabelOutcome<Guess> | undefined {
  const sklearn = objectOf(config.sklearn) ?? {}
  const task = said.task ?? sklearn.task
  if (!isTabular(task)) return undefined
  const wrapped = signature.outputs.find(({ datatype }) => datatype === null)
  if (wrapped !== undefined) {
    return {
      problem: `its output "${wrapped.name}" is neither a tensor nor a ZipMap that Verge can remove; convert the model again with options={"zipmap": False}`,
    }
  }
  const notes = [`task ${task}, ${said.task === undefined ? 'by config.json' : 'as requested'}`]
  const settings = said.preprocess?.tabular
  const columns = settings === undefined ? columnsOf(signature.inputs, namesOf(sklearn.columns), notes) : undefined
  if (columns !== undefined && 'problem' in columns) return columns
  const tabular = settings ?? tabularOf(columns?.value, signature.inputs, sklearn.example_input)
  if (task === 'tabular-classification' && said.labels === undefined) {
    notes.push(
      signature.outputs.some(({ datatype }) => datatype === 'BYTES')
        ? 'labels: to allow scores, list the labels in the order of the scores'
        : 'labels: no file names the classes, so they are called 0, 1, 2 ...',
    )
  }
  const { labels, activation } = said
  return {
    value: {
      fields: {
        task,
        ...(labels && { labels }),
        ...(activation && { activation }),
        ...(tabular && { preprocess: { tabular } }),
      },
      notes,
    },
  }
}

function isTabular(task: unknown): task is TaskName {
  return task === 'tabular-classification' || task === 'tabular-regression'
}

/** Undefined columns: each input is one, by its name. */
function columnsOf(
  inputs: readonly TensorSpec[],
  names: readonly string[] | undefined,
  notes: string[],
): LabelOutcome<TabularSettings['columns']> {
  const widths = inputs.map(widthOf)
  const odd = inputs.find((_, i) => widths[i] === undefined)
  if (odd !== undefined) return { problem: `its input "${odd.name}" is neither a column nor a matrix` }
  const [input] = inputs
  const [width] = widths
  if (widths.every((count) => count === 1)) {
    notes.push(`columns: ${inputs.map(({ name }) => name).join(', ')}, the names of its inputs`)
    return { value: undefined }
  }
  if (input === undefined || inputs.length > 1) {
    return { problem: 'the assignment of columns to its inputs is unknown; set "columns" in a verge.json' }
  }
  const open = width === 'open'
  if (names !== undefined && (open || names.length === width)) {
    notes.push(`columns: ${names.join(', ')}, from config.json`)
    return { value: names.map((name) => ({ name })) }
  }
  if (open || width === undefined) return { problem: `the number of columns of its input "${input.name}" is unknown` }
  if (width > MOST_COLUMNS) return { problem: `its input "${input.name}" has more than ${MOST_COLUMNS} columns` }
  notes.push(
    `columns: no file names the ${width} columns, so they are called x0 to x${width - 1}; to change the names, use a verge.json`,
  )
  return { value: Array.from({ length: width }, (_, i) => ({ name: `x${i}` })) }
}

function widthOf({ datatype, shape }: TensorSpec): number | 'open' | undefined {
  if (datatype === null || shape.length === 0 || shape.length > 2) return undefined
  if (shape.length === 1) return 1
  return sizeOf(shape[1]) ?? 'open'
}

function tabularOf(
  columns: TabularSettings['columns'],
  inputs: readonly TensorSpec[],
  given: unknown,
): TabularSettings | undefined {
  const example = exampleOf(given, columns?.map(({ name }) => name) ?? inputs.map(({ name }) => name))
  if (columns === undefined && example === undefined) return undefined
  return { ...(columns && { columns }), ...(example && { example }) }
}

type Example = NonNullable<TabularSettings['example']>

/** The first rows of an example that has every column, with a plain value in each cell. */
function exampleOf(given: unknown, names: readonly string[]): Example | undefined {
  const columns = objectOf(given)
  if (columns === undefined) return undefined
  const example = new Map<string, Example[string]>()
  for (const name of names) {
    const cells: unknown = Object.hasOwn(columns, name) ? columns[name] : undefined
    if (!Array.isArray(cells)) return undefined
    const first = (cells as unknown[]).slice(0, EXAMPLE_ROWS).filter((cell) => isPlain(cell))
    if (first.length !== Math.min(cells.length, EXAMPLE_ROWS) || first.length === 0) return undefined
    example.set(name, first)
  }
  const lengths = new Set([...example.values()].map(({ length }) => length))
  return lengths.size === 1 ? Object.fromEntries(example) : undefined
}

function isPlain(cell: unknown): cell is string | number | boolean {
  return typeof cell === 'string' || typeof cell === 'boolean' || (typeof cell === 'number' && Number.isFinite(cell))
}

function namesOf(value: unknown): string[] | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > MOST_COLUMNS) return undefined
  const names = value as unknown[]
  const fit = names.every((name): name is string => typeof name === 'string' && name !== '' && name.length <= 256)
  return fit && new Set(names).size === names.length ? (names as string[]) : undefined
}
