import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Tensors } from '../../core/tensors.ts'
import type { VectorKind } from '../../protocols/text-vectors.ts'
import type { ModelCall } from '../task.ts'
import { runInBatches } from '../text/batches.ts'
import { denseVectors } from './dense.ts'
import type { EmbeddingInput, EmbeddingOptions, TextVectors } from './embedding.ts'
import { fixedWidth, outputOf, settingsOf } from './embedding-output.ts'
import { type ReadTexts, readSequences, type Sequence } from './embedding-texts.ts'
import { sparseVectors } from './sparse.ts'
import { tokenVectors } from './tokens.ts'

/** Weights of some tokens of the vocabulary. */
export interface SparseVector {
  /** Token ids, ascending. */
  readonly indices: Uint32Array
  /** Of each, above zero. */
  readonly values: Float32Array
}

/** One vector for each token of a text that has one. */
export interface TokenVectors extends TextVectors {
  readonly ids: readonly number[]
}

/** What texts became: each list in the order of the texts, for the kinds that were asked for. */
export interface Vectors {
  readonly dense?: readonly Float32Array[]
  readonly sparse?: readonly SparseVector[]
  readonly tokens?: readonly TokenVectors[]
  /** Tokens of each text. */
  readonly tokenCounts: readonly number[]
  /** Tokens that the model read. */
  readonly total: number
}

/** The outputs of a batch, and the texts that its rows are. */
export interface Batch {
  readonly outputs: Tensors
  readonly sequences: readonly Sequence[]
}

/** Takes one kind of vectors out of each batch's outputs. */
export interface Collector<T> {
  readonly output: string
  readonly vectors: readonly T[]
  /** @returns how many numbers the batch's vectors have */
  take(batch: Batch): number | Promise<number>
}

/**
 * All kinds that are asked for, from one run of each batch.
 * @throws invalid_request, empty_input, input_too_large, task_mismatch, run_rejected, manifest_invalid
 */
export async function embedVectors(
  inputs: readonly EmbeddingInput[],
  kinds: readonly VectorKind[],
  options: EmbeddingOptions,
  embedder: ModelCall,
): Promise<Vectors> {
  const { limits, model, run } = embedder
  const { manifest } = model
  checkOptions(kinds, options, embedder)
  if (kinds.includes('dense')) {
    assertAnswerFits(inputs.length * (options.dimensions ?? fixedWidth(outputOf('dense', manifest)) ?? 1), limits)
  }
  const read = await readSequences(inputs, options, model, limits)
  const { padId, sequences, tokenCounts, total } = read
  const { collectors, tokensPerRun, ...made } = collectorsOf(kinds, options, embedder, read)
  const names = [...new Set(collectors.map(({ output }) => output))]
  // What nobody asked for need not leave the engine.
  const wanted = names.length < manifest.outputs.length ? names : undefined
  let elements = 0
  await runInBatches(
    sequences,
    padId,
    model,
    { ...limits, tokensPerRun: Math.min(limits.tokensPerRun, tokensPerRun) },
    (tensors) => run(tensors, wanted),
    async (outputs, places) => {
      const batch = { outputs, sequences: places.flatMap((place) => sequences[place] ?? []) }
      for (const collector of collectors) {
        elements += await collector.take(batch)
        assertAnswerFits(elements, limits)
      }
    },
  )
  return { ...made, tokenCounts, total }
}

function collectorsOf(
  kinds: readonly VectorKind[],
  options: EmbeddingOptions,
  { limits, model }: ModelCall,
  read: ReadTexts,
) {
  const { manifest } = model
  const dense = kinds.includes('dense') ? denseVectors(manifest, options) : undefined
  const sparse = kinds.includes('sparse') ? sparseVectors(model, limits, read) : undefined
  const tokens = kinds.includes('tokens') ? tokenVectors(manifest, options) : undefined
  const collectors: Collector<unknown>[] = [dense, sparse, tokens].filter((collector) => collector !== undefined)
  return {
    collectors,
    tokensPerRun: sparse?.tokensPerRun ?? Number.POSITIVE_INFINITY,
    ...(dense && { dense: dense.vectors }),
    ...(sparse && { sparse: sparse.vectors }),
    ...(tokens && { tokens: tokens.vectors }),
  }
}

/** @throws invalid_request, task_mismatch */
function checkOptions(
  kinds: readonly VectorKind[],
  { dimensions, late_chunking: late = false }: EmbeddingOptions,
  { model: { manifest } }: ModelCall,
): void {
  for (const kind of kinds) outputOf(kind, manifest)
  const { dimensions: trained, pooling, tokens } = settingsOf(manifest)
  const cuts = kinds.includes('dense') || (kinds.includes('tokens') && tokens !== undefined)
  if (dimensions !== undefined && !cuts) {
    const [made, kind] = kinds.includes('tokens') ? ['one per token', 'token'] : ['sparse vectors', 'sparse']
    throw new VergeError(
      'invalid_request',
      `"dimensions" needs a model that returns one vector per text. This model returns ${made}.`,
      { details: { field: 'dimensions', kind, ...(trained && { possible: trained }) } },
    )
  }
  if (!late) return
  const refused = (why: string): VergeError =>
    new VergeError('invalid_request', `"late_chunking" ${why}. Leave it out.`, { details: { field: 'late_chunking' } })
  if (kinds.includes('sparse')) throw refused('does not go with sparse vectors')
  if (!kinds.includes('dense')) return
  if (outputOf('dense', manifest).shape.length !== 3) {
    throw refused('needs token vectors, and this model pools them itself')
  }
  if (pooling !== 'mean' && pooling !== 'max') {
    throw refused(
      `needs vectors that are pooled by "mean" or "max", and those of this model are pooled by "${pooling}"`,
    )
  }
}

/** @throws input_too_large */
function assertAnswerFits(elements: number, { jsonOutputElements }: Limits): void {
  if (elements <= jsonOutputElements) return
  throw new VergeError(
    'input_too_large',
    `The vectors of these texts have more than ${jsonOutputElements} numbers. Send the texts in several requests.`,
    { details: { limit_elements: jsonOutputElements } },
  )
}
