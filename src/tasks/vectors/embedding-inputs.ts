import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { checkTexts, fieldIn } from '../text/texts.ts'
import type { EmbeddingInput } from './embedding.ts'
import { settingsOf } from './embedding-output.ts'

/** What protocols send as inputs: a text, token ids, or a list of either. */
export type SentInputs = EmbeddingInput | readonly EmbeddingInput[]

export interface Inputs {
  readonly inputs: readonly EmbeddingInput[]
  /** The request's field that each stands in. */
  readonly field: (place: number) => string
}

/**
 * One list of inputs, in whichever form they came.
 * @param name of the request's field that they stand in
 * @throws empty_input, input_too_large
 */
export function inputsOf(sent: SentInputs, name: string, limits: Limits): Inputs {
  const list = Array.isArray(sent) && typeof sent[0] !== 'number'
  const inputs = (list ? sent : [sent]) as readonly EmbeddingInput[]
  if (inputs.length === 0) throw emptyList(name)
  const field = fieldIn(name, list)
  // Token ids stand for themselves; as many of them as texts may be sent.
  checkTexts(
    inputs.map((each) => (typeof each === 'string' ? each : 'ids')),
    field,
    limits,
  )
  return { inputs, field }
}

export function emptyList(field: string): VergeError {
  return new VergeError('empty_input', `"${field}" is empty. Send at least one text.`, { details: { field } })
}

/** What a text is for, by the names that models give their prompts. */
const PROMPTS = {
  query: ['query', 'search_query', 's2p_query', 'retrieval.query'],
  passage: ['passage', 'document', 'corpus', 'search_document', 'retrieval.passage'],
  classification: ['classification', 'Classification'],
  clustering: ['clustering', 'Clustering', 'separation'],
  matching: ['text-matching', 'similarity', 'STS', 's2s_query'],
} as const
export type Purpose = keyof typeof PROMPTS

/** The prompt of a model for a purpose; undefined where it has none, and its default one is used. */
export function promptFor(manifest: Manifest, purpose: Purpose | undefined): string | undefined {
  const { prompts = {} } = settingsOf(manifest)
  return purpose && PROMPTS[purpose].find((name) => Object.hasOwn(prompts, name))
}
