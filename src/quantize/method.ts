import type { ModelProto } from '../onnx/schema/onnx_pb.js'
import { floatsIn, type ModelSummary, summarizeModel, type WeightKind } from './model-summary.ts'

/** How activations are treated in 8-bit precisions: see `chooseMethod`. */
export type Method = 'dynamic' | 'static' | 'weights'

/**
 * What suits a model: convolutions gain from static quantization where there are samples to calibrate with, and keep
 * their activations in floats where there are none; products of matrices quantize their activations as they come.
 */
export function chooseMethod(
  model: ModelProto,
  haveSamples: boolean,
): { readonly method: Method; readonly why: string } {
  const survey = summarizeModel(model)
  const most = `most weights are ${WHAT[mostOf(survey)]}`
  if (floatsIn(survey, 'convolution') > floatsIn(survey, 'product')) {
    return haveSamples
      ? { method: 'static', why: `static: ${most}, and there are samples for calibrating convolutions` }
      : { method: 'weights', why: `only weights: ${most}, and there are no samples for calibrating convolutions` }
  }
  return { method: 'dynamic', why: `dynamic: activations are quantized at run time; ${most}` }
}

const WHAT: Readonly<Record<WeightKind, string>> = {
  convolution: 'of convolutions',
  product: 'of matrix products',
  table: 'of tables, which need no activations',
  recurrent: 'of recurrent layers, which keep their activations in float',
  other: 'of other operators, which stay in float',
}

/** The kind that has most floats; products where there are none at all. */
function mostOf({ weights }: ModelSummary): WeightKind {
  const [first] = [...weights].sort((left, right) => right.floats - left.floats)
  return first?.kind ?? 'product'
}
