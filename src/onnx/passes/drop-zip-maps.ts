import { attributeOf, makeFloatValue, makeNode } from '../make.ts'
import type { Pass } from '../pass.ts'
import type { NodeProto } from '../schema/onnx_pb.js'

/**
 * Gives the scores themselves where a graph gives them as a sequence of maps. scikit-learn's converter ends classifiers
 * with a `ZipMap` of ai.onnx.ml, which turns a matrix of floats [rows, classes] into a map by class for each row. The
 * output keeps its name, and becomes FP32 [rows, classes] in the order of the node's own class labels.
 */
export const dropZipMaps: Pass = {
  name: 'drop-zip-maps',
  *propose(view) {
    for (const node of view.graph.node) {
      const classes = zipMapClasses(node)
      const [scores = ''] = node.input
      const [output = ''] = node.output
      // Somebody who reads the maps goes on reading them.
      if (classes === undefined || !view.isOutput(output) || view.uses(output).length > 0) continue
      yield {
        what: `give ${output} as scores`,
        remove: [node],
        add: [makeNode({ op: 'Identity', inputs: [scores], outputs: [output], name: node.name })],
        retype: [makeFloatValue(output, [undefined, classes.length])],
      }
    }
  },
}

/** The classes that a `ZipMap` names, in the order of its scores; undefined for any other node. */
export function zipMapClasses(node: NodeProto): string[] | undefined {
  if (node.domain !== 'ai.onnx.ml' || node.opType !== 'ZipMap') return undefined
  const texts = attributeOf(node, 'classlabels_strings')?.strings ?? []
  if (texts.length > 0) return texts.map((text) => new TextDecoder().decode(text))
  return (attributeOf(node, 'classlabels_int64s')?.ints ?? []).map(String)
}
