/** Input or output of a model. */
export interface TensorInfo {
  readonly name: string
  readonly datatype: string
  /** Dimensions, outermost first; -1 where any length will do. */
  readonly shape: readonly number[]
}

/** One file of weights of the version. */
export interface ArtifactInfo {
  readonly id: string
  /** `verge` runs on Verge's own engine, `onnx` and `ort` on ONNX Runtime. */
  readonly format: 'onnx' | 'ort' | 'verge'
  /** Precision: fp32, fp16, q8, ... */
  readonly dtype: string
  readonly bytes: number
  readonly places: readonly Place[]
}

export type Place = 'edge' | 'origin' | 'browser'

/** What a card of the list shows. */
export interface ModelCard {
  readonly name: string
  /** The live version; with a canary the one with the largest weight. */
  readonly version: string
  /** Absent: the model takes tensors only. */
  readonly task?: string | undefined
  readonly description?: string | undefined
  readonly visibility: 'public' | 'private'
  /** Bytes of the smallest artifact; 0 where the weights lie with an origin. */
  readonly bytes: number
  /** Where a request can run now. */
  readonly places: readonly Place[]
}

/** A model as its panel needs it. */
export interface ModelInfo extends ModelCard {
  readonly licence?: string | undefined
  readonly inputs: readonly TensorInfo[]
  readonly outputs: readonly TensorInfo[]
  readonly labels?: readonly string[] | undefined
  readonly artifacts: readonly ArtifactInfo[]
  /** The picture that the model sees; `mnist` takes a drawn sign, dark on light or light on dark. */
  readonly image?:
    | {
        readonly width: number
        readonly height: number
        readonly mode: 'RGB' | 'BGR' | 'L'
        readonly fit: 'stretch' | 'crop' | 'mnist' | 'letterbox'
      }
    | undefined
  /** Samples a second. */
  readonly audio?: { readonly sampleRate: number } | undefined
  /** `chat`: the model has a chat template. */
  readonly generation?: { readonly contextLength: number; readonly chat: boolean } | undefined
  /** A body of `POST /run/{model}` that works: `{inputs, parameters?}`. Absent where the task has none. */
  readonly example?: { readonly inputs: unknown; readonly parameters?: Readonly<Record<string, unknown>> } | undefined
}
