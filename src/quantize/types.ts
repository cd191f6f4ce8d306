import type { Tensors } from '../core/tensors.ts'
import type { Engine } from '../engine/engine.ts'
import type { GraphView } from '../onnx/graph.ts'
import type { NodeProto } from '../onnx/schema/onnx_pb.js'

/** Precisions of a whole model, by the names that transformers.js uses. `q8` is int8 where it can be, else uint8. */
export const DTYPES = ['fp32', 'fp16', 'q8', 'int8', 'uint8', 'q4', 'q4f16'] as const
export type Dtype = (typeof DTYPES)[number]

/** One input of the model, with what is known of the right answer. */
export interface Sample {
  readonly inputs: Tensors
  /** Index of the right class, where it is known. */
  readonly label?: number
}

/** What was done to one weight. */
export interface LayerResult {
  readonly node: string
  readonly op: string
  readonly weight: string
  /** Precision of the weight as stored: `int8`, `uint8`, `int4`, `uint4`, `fp16`. */
  readonly to: string
  readonly elements: number
  readonly bytesBefore: number
  /** With scales and zero points. */
  readonly bytesAfter: number
  /** Signal to quantization noise of the weight in decibels; null where nothing was lost or the weight is all zeros. */
  readonly sqnrDb: number | null
}

/** A layer that could have been quantized and was not. */
export interface SkippedLayer {
  readonly node: string
  readonly op: string
  readonly reason: string
}

/** What quantizing takes beside the model and its options. */
export interface QuantizeEnv {
  /** Runs models: for constants that are computed beforehand, and for calibration. */
  readonly engine: Engine
  readonly signal: AbortSignal
  readonly progress?: (step: string, done: number, total: number) => void
}

/** What every quantizing pass takes. */
export interface QuantizePassOptions {
  /** Whether this node is to be changed; all that the pass knows how to change if left out. */
  readonly select?: (node: NodeProto, view: GraphView) => boolean
  readonly record?: (layer: LayerResult) => void
  readonly skip?: (layer: SkippedLayer) => void
}
