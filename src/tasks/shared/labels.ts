import * as z from 'zod'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'

/** Labels of a caller's own, of a text, a picture or a sound. */

export const candidateLabelsSchema = z
  .union([z.string(), z.array(z.string()).min(1)])
  .meta({ description: 'Candidate labels: a list, or one text with commas' })

/** The sentence that a label is put into. @param otherwise where a request has none */
export function templateSchema(otherwise: string) {
  return z
    .string()
    .optional()
    .meta({ description: `Sentence with {} in place of the label; by default "${otherwise}"` })
}

/** One text may be megabytes of commas: no more of it is taken apart than shows that there are too many labels. */
export function labelsOf(given: string | readonly string[], { embeddingsPerRequest: most }: Limits): readonly string[] {
  const labels = typeof given === 'string' ? given.split(',', most + 1).map((label) => label.trim()) : given
  if (labels.length > most) throw tooManyLabels(most)
  const empty = labels.findIndex((label) => label.trim() === '')
  if (empty === -1) return labels
  throw new VergeError('invalid_request', `"parameters.candidate_labels" has an empty label, number ${empty + 1}.`, {
    details: { field: 'parameters.candidate_labels' },
  })
}

/** A sentence about each label. @throws invalid_request */
export function hypothesesOf(labels: readonly string[], template: string): string[] {
  // No more of it than is needed: it may be megabytes of them.
  const [before, after, ...more] = template.split('{}', 3)
  if (before === undefined || after === undefined || more.length > 0 || template.length > 1_000) {
    throw new VergeError(
      'invalid_request',
      '"parameters.hypothesis_template" must contain {} exactly once, in place of the label, and have at most 1000 characters.',
      { details: { field: 'parameters.hypothesis_template' } },
    )
  }
  return labels.map((label) => `${before}${label}${after}`)
}

export function tooManyLabels(limit: number): VergeError {
  return new VergeError(
    'input_too_large',
    `A request may have at most ${limit} pairs of an input and a label. Send them in several requests.`,
    { details: { limit_pairs: limit } },
  )
}
