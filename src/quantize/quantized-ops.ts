import { graphsOf } from '../onnx/graph.ts'
import type { ModelProto } from '../onnx/schema/onnx_pb.js'

/** Operators that work on quantized numbers, of ONNX and of ONNX Runtime (docs/ContribOperators.md). */
const QUANTIZED =
  /^(QLinear\w+|(Dynamic)?QuantizeLinear|DequantizeLinear|(Q|Dynamic)Quantize\w+|ConvInteger|MatMulInteger\w*|MatMulNBits|MatMulBnb4|MatMulFpQ4|GatherBlockQuantized|DynamicQuantizeLSTM|QGemm|QAttention|QMoE|QEmbedLayerNormalization|QOrdered\w+|QuantizeWithOrder|DequantizeWithOrder|DequantizeBFP|QuantizeBFP)$/

/** Operators by which a model shows that it was quantized before, each once and in order; empty where it was not. */
export function quantizedOps(model: ModelProto): string[] {
  const found = new Set<string>()
  for (const { graph } of graphsOf(model)) {
    for (const { opType } of graph.node) if (QUANTIZED.test(opType)) found.add(opType)
  }
  for (const { node } of model.functions) for (const { opType } of node) if (QUANTIZED.test(opType)) found.add(opType)
  return [...found].sort()
}
