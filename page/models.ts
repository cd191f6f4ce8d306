import type { ModelCard, ModelDetail } from '../src/protocols/models.ts'

/** What a card of the list shows. */
export type { ModelCard } from '../src/protocols/models.ts'

/** A model as its panel needs it. */
export type ModelInfo = ModelDetail

export type Place = ModelCard['places'][number]

/** One file of weights of the version. `verge` runs on Verge's own engine, `onnx` and `ort` on ONNX Runtime. */
export type ArtifactInfo = ModelDetail['artifacts'][number]

/** Input or output of a model; a dimension of -1 is one where any length will do. */
export type TensorInfo = ModelDetail['inputs'][number]
