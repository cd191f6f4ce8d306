import { VergeError } from '../../core/errors.ts'
import { finish, type Work } from '../../core/work.ts'
import { type ModelCall, performed } from '../task.ts'
import type { EmbeddingInput, EmbeddingOptions } from './embedding.ts'
import { ownKind } from './embedding-output.ts'
import { cosine } from './pooling.ts'
import { embedVectors, type SparseVector, type TokenVectors, type Vectors } from './vectors.ts'

export interface TextScores {
  /** In the order of the texts that were compared. */
  readonly scores: readonly number[]
  readonly tokens: number
}

/**
 * How near texts are to others, by the vectors that the model was made for: the cosine of two dense ones, the dot product of
 * sparse ones, and of token vectors ColBERT's MaxSim.
 * @param inputs those that are looked for, then those that are looked through
 * @param queries how many are looked for: one for all others, or one for each
 * @throws as `embedVectors`; input_too_large where there is too much to compare
 */
export async function compareTexts(
  inputs: readonly EmbeddingInput[],
  queries: number,
  options: EmbeddingOptions,
  { limits, model, run }: ModelCall,
): Promise<TextScores> {
  const kind = ownKind(model.manifest)
  // Only scores are answered: what bounds the vectors is the memory that they take until then.
  const held = { ...limits, jsonOutputElements: limits.comparedElements }
  const vectors = await embedVectors(inputs, [kind], options, { limits: held, model, run })
  const count = inputs.length - queries
  const work = scoresOf(vectors, queries, count)
  const steps = stepsOf(vectors, queries, count)
  if (steps > limits.decodeSteps) {
    throw new VergeError(
      'input_too_large',
      'Comparing each token of these texts with each other takes too long. Send fewer or shorter texts.',
    )
  }
  const scores = steps < limits.stepsBetweenPauses ? finish(work) : await performed(model, work, steps)
  return { scores, tokens: vectors.total }
}

/** Multiply-adds, where there are more than a few: those of token vectors. */
function stepsOf({ tokens }: Vectors, queries: number, count: number): number {
  let steps = 0
  for (let i = 0; tokens !== undefined && i < count; i++) {
    const [query, text] = [tokens[queries === 1 ? 0 : i], tokens[queries + i]]
    steps += (query?.ids.length ?? 0) * (text?.values.length ?? 0)
  }
  return steps
}

function* scoresOf({ dense, sparse, tokens }: Vectors, queries: number, count: number): Work<number[]> {
  const scores: number[] = []
  for (let i = 0; i < count; i++) {
    const [query, text] = [queries === 1 ? 0 : i, queries + i]
    if (tokens !== undefined) scores.push(yield* maxSim(tokens[query], tokens[text]))
    else if (sparse !== undefined) scores.push(sparseDot(sparse[query], sparse[text]))
    else scores.push(cosine(dense?.[query] ?? NONE, dense?.[text] ?? NONE))
  }
  return scores
}

const NONE = new Float32Array(0)

/** The sum of products of the weights that both have. */
function sparseDot(one: SparseVector | undefined, other: SparseVector | undefined): number {
  if (one === undefined || other === undefined) return 0
  let [i, j, sum] = [0, 0, 0]
  while (i < one.indices.length && j < other.indices.length) {
    const [a = 0, b = 0] = [one.indices[i], other.indices[j]]
    if (a === b) sum += (one.values[i] ?? 0) * (other.values[j] ?? 0)
    if (a <= b) i++
    if (b <= a) j++
  }
  return sum
}

/** For each token of the query the greatest product with one of the text's, all added up: ColBERT's score. */
function* maxSim(query: TokenVectors | undefined, text: TokenVectors | undefined): Work<number> {
  if (query === undefined || text === undefined || text.ids.length === 0) return 0
  const { width } = query
  let sum = 0
  for (let token = 0; token < query.ids.length; token++) {
    let greatest = Number.NEGATIVE_INFINITY
    for (let other = 0; other < text.ids.length; other++) {
      let product = 0
      for (let i = 0; i < width; i++) {
        product += (query.values[token * width + i] ?? 0) * (text.values[other * width + i] ?? 0)
      }
      if (product > greatest) greatest = product
    }
    sum += greatest
    yield text.values.length
  }
  return sum
}
