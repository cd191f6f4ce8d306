import type { Datatype } from '../../core/tensors.ts'

/** Triton's model configuration, as far as a model of Verge has one. Shapes are whole: nothing is added for a batch. */
export interface ModelConfig {
  readonly name: string
  readonly platform: string
  readonly backend: string
  readonly version_policy: { readonly specific: { readonly versions: readonly string[] } }
  readonly max_batch_size: 0
  readonly input: readonly ConfigTensor[]
  readonly output: readonly ConfigTensor[]
  readonly parameters: Readonly<Record<string, { readonly string_value: string }>>
}

export interface ConfigTensor {
  readonly name: string
  readonly data_type: string
  /** -1 for a dimension that varies. */
  readonly dims: readonly number[]
}

/** Triton calls texts and bytes strings in a configuration. */
export function configDatatype(datatype: Datatype): string {
  return `TYPE_${datatype === 'BYTES' ? 'STRING' : datatype}`
}
