import type { Manifest } from '../../catalog/manifest.ts'
import type { SparseSettings } from '../../catalog/settings/embedding.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { finish, type Work } from '../../core/work.ts'
import { notFinite, performed, type TaskModel } from '../task.ts'
import { fixedWidth, outputOf, type Rows, rowsOf, settingsOf, unfitOutput } from './embedding-output.ts'
import type { ReadTexts, Sequence } from './embedding-texts.ts'
import type { Collector, SparseVector } from './vectors.ts'

/** Entries of a vocabulary where the signature does not say how many: those of the larger tokenizers of one language. */
const UNKNOWN_VOCABULARY = 65_536

export interface SparseCollector extends Collector<SparseVector> {
  /** Most tokens of a batch, padding included. */
  readonly tokensPerRun: number
}

/**
 * Weights for the tokens of the vocabulary that a text is about. Scores of each token for the whole vocabulary are large:
 * how many tokens are run at once is bounded by them.
 * @throws task_mismatch; input_too_large for a text that is over that bound alone
 */
export function sparseVectors(model: TaskModel, limits: Limits, { dropped, sequences }: ReadTexts): SparseCollector {
  const { manifest } = model
  const spec = outputOf('sparse', manifest)
  const { sparse: settings } = settingsOf(manifest)
  if (settings === undefined) throw unfitOutput(manifest)
  const output = spec.name
  const perToken = settings.form === 'logits' && spec.shape.length === 3
  const tokensPerRun = perToken
    ? Math.floor(limits.vocabularyScores / (fixedWidth(spec) ?? UNKNOWN_VOCABULARY))
    : Number.POSITIVE_INFINITY
  assertRunsFit(sequences, tokensPerRun, manifest)
  const vectors: SparseVector[] = []

  function* reduce(batch: readonly Sequence[], rows: Rows, how: SparseSettings): Work<number> {
    let elements = 0
    for (const [row, sequence] of batch.entries()) {
      const values = rows.values.subarray(row * rows.stride, (row + 1) * rows.stride)
      const vector = vectorOf(values, rows, sequence, how)
      for (const { place } of sequence.parts) vectors[place] = vector
      elements += 2 * vector.values.length
      yield values.length
    }
    return elements
  }

  function vectorOf(
    values: Float32Array,
    rows: Rows,
    sequence: Sequence,
    { form, ...how }: SparseSettings,
  ): SparseVector {
    const count = sequence.ids.length
    switch (form) {
      case 'vector':
        if (!rows.pooled) throw unfitOutput(manifest)
        return positiveOf(values)
      case 'weights':
        // [batch, tokens] has the shape of one vector a text.
        if (rows.stride < count || (!rows.pooled && rows.width !== 1)) throw unfitOutput(manifest)
        return weightsOf(values, sequence.ids, dropped)
      case 'logits':
        if (!rows.pooled && count * rows.width > rows.stride) throw unfitOutput(manifest)
        return positiveOf(scoresOf(values, rows.pooled ? 1 : count, rows.width, how))
    }
  }

  return {
    output,
    vectors,
    tokensPerRun,
    async take({ outputs, sequences: batch }) {
      const rows = rowsOf(outputs, output, batch.length, manifest)
      const work = reduce(batch, rows, settings)
      return rows.values.length < limits.stepsBetweenPauses ? finish(work) : performed(model, work, rows.values.length)
    },
  }
}

/** @throws input_too_large */
function assertRunsFit(sequences: readonly Sequence[], most: number, { model }: Manifest): void {
  if (sequences.every(({ ids }) => ids.length <= most)) return
  throw new VergeError(
    'input_too_large',
    `Model "${model}" answers a score for each token and each entry of its vocabulary. A text may have at most ${most} tokens. Send shorter texts, or push the model with the pooling in its graph.`,
    { details: { limit_tokens: most } },
  )
}

/**
 * SPLADE's weights: log(1 + max(0, score)), the greatest of a text's tokens or their sum. The logarithm keeps the order, so
 * the greatest score is looked for first.
 * @throws run_rejected
 */
function scoresOf(
  scores: Float32Array,
  tokens: number,
  width: number,
  { activation = 'relu', pooling = 'max' }: Pick<SparseSettings, 'activation' | 'pooling'>,
): Float32Array {
  const activate = activation === 'relu' ? Math.log1p : (value: number) => Math.log1p(Math.log1p(value))
  const found = new Float32Array(width)
  let wrong = false
  for (let token = 0; token < tokens; token++) {
    const start = token * width
    for (let i = 0; i < width; i++) {
      const score = scores[start + i] ?? 0
      if (score > 0) {
        if (pooling === 'sum') found[i] = (found[i] ?? 0) + activate(score)
        else if (score > (found[i] ?? 0)) found[i] = score
      } else if (Number.isNaN(score)) wrong = true
    }
  }
  if (wrong) throw notFinite()
  if (pooling === 'max') for (let i = 0; i < width; i++) if ((found[i] ?? 0) > 0) found[i] = activate(found[i] ?? 0)
  return found
}

/** The entries above zero. @throws run_rejected */
function positiveOf(values: Float32Array): SparseVector {
  let count = 0
  for (const value of values) {
    if (value > 0) count++
    if (!Number.isFinite(value)) throw notFinite()
  }
  const vector = { indices: new Uint32Array(count), values: new Float32Array(count) }
  let at = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0
    if (value <= 0) continue
    vector.indices[at] = i
    vector.values[at++] = value
  }
  return vector
}

/** bge-m3's: the greatest weight of each token that occurs, without special and unknown ones. @throws run_rejected */
function weightsOf(weights: Float32Array, ids: readonly number[], dropped: ReadonlySet<number>): SparseVector {
  const greatest = new Map<number, number>()
  for (const [i, id] of ids.entries()) {
    const weight = weights[i] ?? 0
    if (!Number.isFinite(weight)) throw notFinite()
    if (weight > 0 && weight > (greatest.get(id) ?? 0) && !dropped.has(id)) greatest.set(id, weight)
  }
  const sorted = [...greatest].sort(([a], [b]) => a - b)
  return {
    indices: Uint32Array.from(sorted, ([id]) => id),
    values: Float32Array.from(sorted, ([, weight]) => weight),
  }
}
