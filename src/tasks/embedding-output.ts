import type { Manifest } from '../catalog/manifest.ts'
import type { EmbeddingSettings } from '../catalog/settings/embedding.ts'
import { VergeError } from '../core/errors.ts'
import { type TensorSpec, type Tensors, toFloats } from '../core/tensors.ts'

/** A manifest without settings is one of a model that is pooled as most are. */
export function settingsOf({ embedding }: Manifest): EmbeddingSettings {
  return embedding ?? { pooling: 'mean', normalize: true }
}

/** The output that holds the vectors. @throws manifest_invalid */
export function outputOf(manifest: Manifest): TensorSpec {
  const { output: name, pooling } = settingsOf(manifest)
  const floats = manifest.outputs.filter(({ datatype }) => datatype?.startsWith('FP') ?? false)
  const perToken = floats.find(({ shape }) => shape.length === 3)
  const perText = floats.filter(({ shape }) => shape.length === 2)
  const found =
    name !== undefined
      ? floats.find((spec) => spec.name === name)
      : pooling === 'none'
        ? perToken
        : (perText.find((spec) => spec.name === 'sentence_embedding') ?? perToken ?? perText[0])
  if (found === undefined) throw unfitOutput(manifest)
  return found
}

/** A vector's elements as far as the signature says; at least one. */
export function fixedWidth({ shape }: TensorSpec): number {
  const last = shape.at(-1)
  return typeof last === 'number' && last > 0 ? last : 1
}

export interface Rows {
  readonly values: Float32Array
  /** Elements of a vector. */
  readonly width: number
  /** Elements of a row: of a vector, or of all tokens' vectors with the padding's. */
  readonly stride: number
  readonly pooled: boolean
}

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
