import * as z from 'zod'
import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import { type Tensors, toDoubles } from '../../core/tensors.ts'

/** Labels with scores, best first, as the Hugging Face inference API answers for a classification. */
export const classificationSchema = z
  .array(z.object({ label: z.string(), score: z.number() }))
  .meta({ id: 'Classification' })
export type Classification = z.infer<typeof classificationSchema>

export const classificationParametersSchema = z
  .strictObject({
    top_k: z.number().int().positive().optional().meta({ description: 'How many labels, best first' }),
    function_to_apply: z
      .enum(['softmax', 'sigmoid', 'none'])
      .optional()
      .meta({ description: "Function that turns the model's output into scores; by default as set in its manifest" }),
  })
  .meta({ id: 'ClassificationParameters' })
export type ClassificationParameters = z.infer<typeof classificationParametersSchema>

export type Activation = 'softmax' | 'sigmoid' | 'none'

/**
 * Classifications from a model's output, one for each row of it.
 * @param defaultTopK labels answered where the request does not say
 * @throws manifest_invalid if the output is not a row of scores for each item
 */
export function classifications(
  outputs: Tensors,
  parameters: ClassificationParameters,
  manifest: Manifest,
  defaultTopK: number,
): Classification[] {
  return labelScores(outputs, parameters.function_to_apply, manifest).map((scores) =>
    bestLabels(scores, manifest, parameters.top_k ?? defaultTopK),
  )
}

/** Labels with their scores, best first. */
export function bestLabels(scores: Float64Array, manifest: Pick<Manifest, 'labels'>, topK: number): Classification {
  return Array.from(scores, (score, i) => ({ label: labelOf(manifest, i), score }))
    .sort((a, b) => b.score - a.score)
    .slice(0, topK)
}

/** A label's name; that of Hugging Face where the model has none. */
export function labelOf({ labels }: Pick<Manifest, 'labels'>, index: number): string {
  return labels?.[index] ?? `LABEL_${index}`
}

/**
 * Scores from a model's output in the order of its labels, one list for each row of it.
 * @param activation what the request asks for; left out: as set in the manifest
 * @throws manifest_invalid if the output is not a row of scores for each item
 */
export function labelScores(outputs: Tensors, activation: Activation | undefined, manifest: Manifest): Float64Array[] {
  const { values, rows, columns } = scoreMatrix(outputs, manifest)
  const applied = activation ?? manifest.activation ?? 'softmax'
  return Array.from({ length: rows }, (_, row) =>
    activate(values.subarray(row * columns, (row + 1) * columns), applied),
  )
}

/** The output that holds the scores: the only one, or the first whose rows are as long as there are labels. */
function scoreMatrix(outputs: Tensors, manifest: Manifest): { values: Float64Array; rows: number; columns: number } {
  const labels = manifest.labels?.length
  for (const output of outputs.values()) {
    const values = toDoubles(output)
    const columns = output.shape.at(-1)
    if (values === undefined || columns === undefined || columns === 0) continue
    if (labels === undefined || columns === labels) return { values, rows: values.length / columns, columns }
  }
  throw new VergeError(
    'manifest_invalid',
    `Model "${manifest.model}" version "${manifest.version}" has no output with one score per label. Correct its labels and push it again.`,
  )
}

/** In double precision, with the greatest value taken out first, so that no exponential overflows. */
export function activate(values: Float64Array, activation: Activation): Float64Array {
  switch (activation) {
    case 'none':
      return values
    case 'sigmoid':
      return values.map((value) => 1 / (1 + Math.exp(-value)))
    case 'softmax': {
      const greatest = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
      const powers = values.map((value) => Math.exp(value - greatest))
      const sum = powers.reduce((a, b) => a + b, 0)
      return powers.map((power) => power / sum)
    }
  }
}

/** A caller's labels with scores, best first. */
export function rankedLabels(labels: readonly string[], logits: Float32Array, activation: Activation): Classification {
  const scores = activate(Float64Array.from(logits), activation)
  return labels.map((label, i) => ({ label, score: scores[i] ?? 0 })).sort((a, b) => b.score - a.score)
}
