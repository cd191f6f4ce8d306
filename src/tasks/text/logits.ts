import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import { type Tensor, type Tensors, toFloats } from '../../core/tensors.ts'

/** Numbers of a batch: `rows` texts, each of `length` tokens, each of `width` numbers. */
export interface Logits {
  readonly values: Float32Array
  readonly rows: number
  readonly length: number
  readonly width: number
}

/**
 * A model's scores of every token for each label.
 * @param length tokens in each row, padding included
 * @throws manifest_invalid if no output is [rows, length, labels]
 */
export function tokenLogits(outputs: Tensors, rows: number, length: number, manifest: Manifest): Logits {
  const found = logitsOf(outputs, rows, length, manifest, ({ shape }) => shape.length === 3)
  if (found !== undefined) return found
  throw wrongOutputs(manifest, 'no output with one score for each token and label')
}

/**
 * A model's scores for every token to begin and to end an answer: the outputs of the usual names, else the first two.
 * @throws manifest_invalid if they are not [rows, length]
 */
export function spanLogits(
  outputs: Tensors,
  rows: number,
  length: number,
  manifest: Manifest,
): { readonly starts: Float32Array; readonly ends: Float32Array } {
  const all = [...outputs.values()]
  const [first, second] = [outputs.get('start_logits') ?? all[0], outputs.get('end_logits') ?? all[1]]
  const starts = first === undefined ? undefined : toFloats(first)
  const ends = second === undefined ? undefined : toFloats(second)
  if (starts?.length === rows * length && ends?.length === rows * length) return { starts, ends }
  throw wrongOutputs(manifest, 'no two outputs that score the beginning and the end of an answer')
}

/** A model's scores of every text for each label. @throws manifest_invalid if no output is [rows, labels] */
export function textLogits(outputs: Tensors, rows: number, manifest: Manifest): Logits {
  const found = logitsOf(outputs, rows, 1, manifest, () => true)
  if (found !== undefined) return found
  throw wrongOutputs(manifest, 'no output with one score for each of its labels')
}

/** The first output of the right shape that has a number for each label. */
function logitsOf(
  outputs: Tensors,
  rows: number,
  length: number,
  { labels }: Manifest,
  fits: (output: Tensor) => boolean,
): Logits | undefined {
  for (const output of outputs.values()) {
    const values = fits(output) ? toFloats(output) : undefined
    const width = output.shape.at(-1)
    if (values === undefined || width === undefined || values.length !== rows * length * width) continue
    if (labels === undefined || width === labels.length) return { values, rows, length, width }
  }
  return undefined
}

function wrongOutputs({ model, version }: Manifest, what: string): VergeError {
  return new VergeError(
    'manifest_invalid',
    `Model "${model}" version "${version}" has ${what}. Correct its labels, or push the model with another task.`,
  )
}
