import type { ModelProto } from '../onnx/schema/onnx_pb.js'
import { floatsIn, surveyModel } from './survey.ts'

/** How activations are treated in 8-bit precisions: see `chooseMethod`. */
export type Method = 'dynamic' | 'static' | 'weights'

/**
 * What suits a model: convolutions gain from static quantisation where there are samples to calibrate with, and keep
 * their activations in floats where there are none; products of matrices quantise their activations as they come.
 */
export function chooseMethod(
  model: ModelProto,
  haveSamples: boolean,
): { readonly method: Method; readonly why: string } {
  const survey = surveyModel(model)
  const convolutions = floatsIn(survey, 'convolution')
  const products = floatsIn(survey, 'product')
  if (convolutions > products) {
    return haveSamples
      ? { method: 'static', why: 'static: most weights are of convolutions, and there are samples to calibrate with' }
      : {
          method: 'weights',
          why: 'weights alone: most are of convolutions, and there are no samples to calibrate their activations with',
        }
  }
  const what = floatsIn(survey, 'table') > products ? 'tables, which need none' : 'matrix products'
  return { method: 'dynamic', why: `dynamic: activations are quantised as they come; most weights are of ${what}` }
}
