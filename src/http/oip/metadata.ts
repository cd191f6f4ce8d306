import type { TensorSpec } from '../../core/tensors.ts'
import type { MetadataTensor, ModelMetadata } from '../../protocols/oip/wire.ts'
import type { ResolvedModel } from '../../serving/serving.ts'

/** Triton's name for what runs the model. */
const PLATFORM = 'onnxruntime_onnx'

/** @param versions those that the caller may ask for */
export function modelMetadata({ manifest }: ResolvedModel, versions: readonly string[]): ModelMetadata {
  const answers = manifest.artifacts.flatMap(({ id, answer }) =>
    answer === undefined ? [] : [{ artifact: id, ...answer }],
  )
  return {
    name: manifest.model,
    versions: [...versions],
    platform: PLATFORM,
    inputs: manifest.inputs.flatMap(metadataTensor),
    outputs: manifest.outputs.flatMap(metadataTensor),
    ...(answers.length > 0 && { answers }),
  }
}

/** Nothing for what is not a tensor: the protocol has no words for it, and it cannot be asked for. */
function metadataTensor({ name, datatype, shape }: TensorSpec): MetadataTensor[] {
  if (datatype === null) return []
  return [{ name, datatype, shape: shape.map((dimension) => (typeof dimension === 'number' ? dimension : -1)) }]
}
