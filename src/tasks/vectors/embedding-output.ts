import type { Manifest } from '../../catalog/manifest.ts'
import type { EmbeddingSettings } from '../../catalog/settings/embedding.ts'
import { VergeError } from '../../core/errors.ts'
import { type TensorSpec, type Tensors, toFloats } from '../../core/tensors.ts'
import { VECTOR_KINDS, type VectorKind } from '../../protocols/text-vectors.ts'

/** A manifest without settings is one of a model that is pooled as most are. */
export function settingsOf({ embedding }: Manifest): EmbeddingSettings {
  return embedding ?? { pooling: 'mean', normalize: true }
}

/** The kinds of vectors that a model of texts makes. */
function kindsOf(manifest: Manifest): readonly VectorKind[] {
  return VECTOR_KINDS.filter((kind) => outputFor(kind, manifest) !== undefined)
}

/**
 * The kinds that a model of texts was made to answer, where they are not one vector a text alone: an output of token
 * vectors that are pooled counts only where the settings name it.
 */
export function offeredKinds(manifest: Manifest): readonly VectorKind[] | undefined {
  const { pooling, sparse, tokens } = settingsOf(manifest)
  if (pooling !== 'none' && sparse === undefined && tokens === undefined) return undefined
  return kindsOf(manifest).filter((kind) => kind !== 'tokens' || tokens !== undefined || ownKind(manifest) === 'tokens')
}

/** The kind that a model was made for: what it answers where a request does not say. */
export function ownKind(manifest: Manifest): VectorKind {
  const { pooling, sparse } = settingsOf(manifest)
  if (pooling !== 'none') return 'dense'
  return sparse === undefined ? 'tokens' : 'sparse'
}

/** The output that holds vectors of a kind. @throws task_mismatch, manifest_invalid */
export function outputOf(kind: VectorKind, manifest: Manifest): TensorSpec {
  const found = outputFor(kind, manifest)
  if (found !== undefined) return found
  const kinds = kindsOf(manifest)
  if (kind === ownKind(manifest)) throw unfitOutput(manifest)
  throw new VergeError(
    'task_mismatch',
    `Model "${manifest.model}" makes no ${NAMES[kind]}. It makes ${kinds.map((each) => `${MADE[each]} ("${each}")`).join(', ')}.`,
    { details: { kinds } },
  )
}

const NAMES: Readonly<Record<VectorKind, string>> = {
  dense: 'vector per text',
  sparse: 'sparse vectors',
  tokens: 'vectors per token',
}
const MADE: Readonly<Record<VectorKind, string>> = { ...NAMES, dense: 'one vector per text' }

function outputFor(kind: VectorKind, manifest: Manifest): TensorSpec | undefined {
  const { output, pooling, sparse, tokens } = settingsOf(manifest)
  const floats = manifest.outputs.filter(({ datatype }) => datatype?.startsWith('FP') ?? false)
  const named = (name: string): TensorSpec | undefined => floats.find((spec) => spec.name === name)
  // An output that has a kind of its own is none of another.
  const free = floats.filter(({ name }) => name !== sparse?.output)
  switch (kind) {
    case 'sparse':
      return sparse && named(sparse.output)
    case 'tokens':
      if (tokens?.output !== undefined) return named(tokens.output)
      if (pooling === 'none' && output !== undefined) return named(output)
      return free.find(({ shape }) => shape.length === 3)
    case 'dense': {
      if (pooling === 'none') return undefined
      if (output !== undefined) return named(output)
      const others = free.filter(({ name }) => name !== tokens?.output)
      const perText = others.filter(({ shape }) => shape.length === 2)
      const perToken = others.find(({ shape }) => shape.length === 3)
      return perText.find((spec) => spec.name === 'sentence_embedding') ?? perToken ?? perText[0]
    }
  }
}

/** A vector's elements as far as the signature says; undefined where it does not. */
export function fixedWidth({ shape }: TensorSpec): number | undefined {
  const last = shape.at(-1)
  return typeof last === 'number' && last > 0 ? last : undefined
}

export interface Rows {
  readonly values: Float32Array
  /** Elements of a vector. */
  readonly width: number
  /** Elements of a row: of a vector, or of all tokens' vectors with the padding's. */
  readonly stride: number
  readonly pooled: boolean
}

/** The rows of an output, one for each text of a batch. @throws manifest_invalid */
export function rowsOf(outputs: Tensors, name: string, count: number, manifest: Manifest): Rows {
  const output = outputs.get(name)
  const values = output === undefined ? undefined : toFloats(output)
  const [rows, ...rest] = output?.shape ?? []
  const width = rest.at(-1) ?? 0
  if (values === undefined || rows !== count || rest.length === 0 || rest.length > 2 || width === 0) {
    throw unfitOutput(manifest)
  }
  return { values, width, stride: values.length / count, pooled: rest.length === 1 }
}

export function unfitOutput(manifest: Manifest): VergeError {
  return new VergeError(
    'manifest_invalid',
    `Model "${manifest.model}" version "${manifest.version}" has no output with vectors for its texts. Name the output in its embedding settings and push it again.`,
  )
}
