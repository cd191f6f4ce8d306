import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import { type Tensor, type Tensors, toDoubles } from '../../core/tensors.ts'
import { activate, type Classification } from '../shared/scores.ts'

/** A class as the model itself calls it. */
export type ClassName = number | string

/**
 * Refuses a model whose answers are not tensors, before it is run: scikit-learn's converter wraps probabilities into a
 * sequence of maps unless it is told not to.
 * @throws manifest_invalid
 */
export function refuseMaps(manifest: Manifest): void {
  const wrapped = manifest.outputs.find(({ datatype }) => datatype === null)
  if (wrapped === undefined) return
  throw unfit(
    manifest,
    `its output "${wrapped.name}" is not a tensor; if it is a sequence of maps (ZipMap), push the model again, which removes the ZipMap`,
  )
}

/** The class of each row: what the model says, or else the best of its scores. @throws manifest_invalid */
export function predictedClasses(outputs: Tensors, manifest: Manifest, rows: number): ClassName[] {
  const output = labelOutput(outputs, manifest)
  if (output !== undefined) return classNames(output, manifest, rows)
  return scoreRows(outputs, manifest, rows).map((scores) => {
    const best = scores.reduce((found, score, i) => (score > (scores[found] ?? 0) ? i : found), 0)
    return manifest.labels?.[best] ?? best
  })
}

/**
 * The best labels of each row, with their scores.
 * @param most labels of each row
 * @param mostTogether labels of all rows
 * @throws manifest_invalid where nothing names the classes, input_too_large
 */
export function scoredClasses(
  outputs: Tensors,
  manifest: Manifest,
  rows: number,
  { most, mostTogether }: { readonly most: number; readonly mostTogether: number },
): Classification[] {
  const all = scoreRows(outputs, manifest, rows)
  const names = manifest.labels ?? numberedClasses(outputs, manifest, all[0]?.length ?? 0, rows)
  if (Math.min(most, names.length) * rows > mostTogether) {
    throw new VergeError(
      'input_too_large',
      `An answer may have at most ${mostTogether} labels, but this one would have ${names.length} per row. Set a smaller "top_k", or send fewer rows.`,
      { details: { limit_labels: mostTogether, field: 'parameters.top_k' } },
    )
  }
  return all.map((scores) => {
    if (scores.length !== names.length) {
      throw unfit(manifest, `it returns ${scores.length} scores per row, but has ${names.length} labels`)
    }
    return Array.from(scores, (score, i) => ({ label: names[i] ?? '', score }))
      .sort((a, b) => b.score - a.score)
      .slice(0, most)
  })
}

/** A regression's numbers: one for each row, or a list of them where the model predicts several. @throws manifest_invalid */
export function predictedValues(outputs: Tensors, manifest: Manifest, rows: number): (number | number[])[] {
  const output = chosen(outputs, manifest.tabular?.outputs?.value, isNumeric, manifest)
  const values = output && doubles(output)
  if (values === undefined) throw unfit(manifest, 'it has no output of numbers')
  const width = widthOf(values, rows, manifest)
  const notFinite = values.findIndex((value) => !Number.isFinite(value))
  if (notFinite !== -1) throw notANumber(Math.floor(notFinite / width))
  if (width === 1) return [...values]
  return Array.from({ length: rows }, (_, row) => [...values.subarray(row * width, (row + 1) * width)])
}

function labelOutput(outputs: Tensors, manifest: Manifest): Tensor | undefined {
  const isLabel = ({ datatype }: Tensor): boolean =>
    datatype === 'BYTES' || datatype === 'BOOL' || /^U?INT/.test(datatype)
  return chosen(outputs, manifest.tabular?.outputs?.label, isLabel, manifest)
}

function classNames(output: Tensor, manifest: Manifest, rows: number): ClassName[] {
  if (output.data.length !== rows) throw unfit(manifest, `it returns ${output.data.length} classes for ${rows} rows`)
  return Array.from<string | number | bigint, ClassName>(output.data, (value) => {
    if (typeof value !== 'bigint') return value
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : `${value}`
  })
}

/** Classes 0, 1, 2 ... by their numbers, if what the model predicts is one of these. */
function numberedClasses(outputs: Tensors, manifest: Manifest, count: number, rows: number): string[] {
  const output = labelOutput(outputs, manifest)
  const predicted = output === undefined ? [] : classNames(output, manifest, rows)
  if (predicted.some((name) => typeof name === 'string' || name < 0 || name >= count)) {
    throw unfit(manifest, 'the classes of its scores are unknown; it needs "labels", in the order of its scores')
  }
  return Array.from({ length: count }, (_, i) => `${i}`)
}

/** The scores of each row. A single one is of the second of two classes, and the first has what is left. */
function scoreRows(outputs: Tensors, manifest: Manifest, rows: number): Float64Array[] {
  const output = chosen(outputs, manifest.tabular?.outputs?.scores, isFloat, manifest)
  const values = output && doubles(output)
  if (values === undefined) throw unfit(manifest, 'it has no output of scores')
  const width = widthOf(values, rows, manifest)
  const notFinite = values.findIndex((value) => !Number.isFinite(value))
  if (notFinite !== -1) throw notANumber(Math.floor(notFinite / width))
  const activation = manifest.activation ?? 'none'
  return Array.from({ length: rows }, (_, row) => {
    const scores = values.subarray(row * width, (row + 1) * width)
    if (width > 1) return activate(scores, activation)
    const [second = 0] = activate(scores, activation === 'softmax' ? 'sigmoid' : activation)
    return Float64Array.of(1 - second, second)
  })
}

function widthOf(values: Float64Array, rows: number, manifest: Manifest): number {
  const width = values.length / rows
  if (Number.isInteger(width) && width > 0) return width
  throw unfit(manifest, `it returns ${values.length} numbers for ${rows} rows`)
}

function chosen(
  outputs: Tensors,
  name: string | undefined,
  fits: (output: Tensor) => boolean,
  manifest: Manifest,
): Tensor | undefined {
  if (name === undefined) return [...outputs.values()].find(fits)
  const output = outputs.get(name)
  if (output !== undefined && fits(output)) return output
  throw unfit(manifest, `its settings name an output "${name}" that does not exist or has another type`)
}

function isFloat({ datatype }: Tensor): boolean {
  return datatype === 'FP32' || datatype === 'FP64' || datatype === 'FP16'
}

function isNumeric({ datatype }: Tensor): boolean {
  return datatype !== 'BYTES' && datatype !== 'BOOL'
}

function doubles(output: Tensor): Float64Array | undefined {
  if (output.datatype === 'BYTES') return undefined
  return toDoubles(output) ?? Float64Array.from<number | bigint>(output.data, Number)
}

function notANumber(row: number): VergeError {
  return new VergeError(
    'run_rejected',
    `Row ${row + 1}: the model's answer is not a finite number. Check for values far outside the training data.`,
    { details: { row: row + 1 } },
  )
}

function unfit(manifest: Manifest, problem: string): VergeError {
  return new VergeError(
    'manifest_invalid',
    `Model "${manifest.model}" version "${manifest.version}" cannot answer a table: ${problem}. Correct the model and push it again.`,
  )
}
