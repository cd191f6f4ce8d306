import { DataType } from '../onnx/data.ts'
import { safeName } from '../onnx/errors.ts'
import { graphsOf } from '../onnx/graph.ts'
import type { ModelProto } from '../onnx/schema/onnx_pb.js'
import { nameOf } from './shared/weights.ts'
import type { LayerResult, SkippedLayer } from './types.ts'

const FLOATS: ReadonlySet<number> = new Set([DataType.FLOAT, DataType.FLOAT16])

/**
 * Layers that got a copy of a weight in fewer bits while the weight itself stays in float, because it is an output of
 * the model or a node reads it that was not quantized. Such a copy makes the file larger.
 * @param model after quantizing
 * @param layers those whose weights were quantized
 * @returns the layers, each with the reason why it is better left as it is
 */
export function besideFloats(model: ModelProto, layers: readonly LayerResult[]): SkippedLayer[] {
  const readers = floatReaders(model)
  return layers.flatMap(({ node, op, weight }) => {
    const reader = readers.get(weight)
    if (reader === undefined) return []
    return [
      {
        node,
        op,
        reason: `its weight "${safeName(weight)}" stays in float for ${reader}, so a quantized copy would save nothing`,
      },
    ]
  })
}

/** Who reads each floating-point initializer: an output of the model, or the first node. */
function floatReaders(model: ModelProto): Map<string, string> {
  const readers = new Map<string, string>()
  for (const view of graphsOf(model)) {
    for (const { name, dataType } of view.graph.initializer) {
      if (!FLOATS.has(dataType)) continue
      const [use] = view.uses(name)
      if (view.isOutput(name)) readers.set(name, 'an output')
      else if (use) readers.set(name, `"${safeName(nameOf(use.node))}" (${safeName(use.node.opType)})`)
    }
  }
  return readers
}

/** What is worth saying of weights that several layers share. */
export function tieNotes(layers: readonly LayerResult[]): string[] {
  const byWeight = new Map<string, LayerResult[]>()
  for (const layer of layers) byWeight.set(layer.weight, [...(byWeight.get(layer.weight) ?? []), layer])
  return [...byWeight].flatMap(([weight, sharing]) => {
    const ops = new Set(sharing.map(({ op }) => op))
    if (!ops.has('Gather') || ops.size < 2) return []
    const names = sharing.map(({ node, op }) => `"${safeName(node)}" (${op})`)
    return [`tied weight: "${safeName(weight)}" is the weight of ${names.join(' and ')}`]
  })
}
