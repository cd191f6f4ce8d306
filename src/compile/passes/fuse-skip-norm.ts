import { DataType, dimsOf } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { intOf, makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import { DOMAIN, isOp, Taken } from '../pattern.ts'
import type { TypeOf } from './heads.ts'

/**
 * A sum of two activations and its layer normalization, as `verge.SkipNorm`, whose second result is the sum where
 * something else reads it: what comes before a layer's norm is added to what comes after. Whether the two are of one shape
 * is seen when the graph is lowered.
 */
export const fuseSkipNorm = (types: TypeOf): Pass => ({
  name: 'fuse-skip-norm',
  *propose(view) {
    const taken = new Taken()
    for (const norm of view.graph.node) {
      if (!isOp(norm, 'LayerNormalization') || norm.output.slice(1).some((value) => value !== '')) continue
      const [value = '', scale = '', bias = ''] = norm.input
      const add = view.producer(value)
      if (!isOp(add, 'Add') || ![scale, bias].every((name) => name === '' || view.constant(name))) continue
      const [left = '', right = ''] = add.input
      const [a, b] = [left, right].map((name) => types(name))
      const isFloat = a?.elementType === DataType.FLOAT || a?.elementType === DataType.FLOAT16
      if (a?.shape === undefined || !isFloat || a.shape.length !== b?.shape?.length) continue
      if (intOf(norm, 'axis', -1) !== -1 && intOf(norm, 'axis', -1) !== a.shape.length - 1) continue
      const width = view.constant(scale)
      if (width === undefined || dimsOf(width).length !== 1 || !taken.take(add, norm)) continue
      yield {
        what: `fuse ${add.name} into ${norm.name}`,
        remove: [add, norm],
        add: [
          makeNode({
            op: 'SkipNorm',
            domain: DOMAIN,
            inputs: [left, right, scale, bias],
            outputs: [norm.output[0] ?? '', ...(isReadBeside(view, value) ? [value] : [])],
            name: norm.name,
          }),
        ].map((node) => ({ ...node, attribute: norm.attribute })),
      }
    }
  },
})

/** Whether something reads a value beside one node. */
function isReadBeside(view: GraphView, value: string): boolean {
  return view.isOutput(value) || view.uses(value).length > 1
}
