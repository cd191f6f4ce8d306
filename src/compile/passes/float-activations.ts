import { DataType, integersOf } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { intOf, makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { DOMAIN, isOp, scalarOf } from '../pattern.ts'

/**
 * Activations that a statically quantized model rounds to eight bits and back (`QuantizeLinear`, `DequantizeLinear`)
 * stay floats, and `verge.Grid` rounds them to what the eight bits hold: quantizers leave out a Relu where the range does
 * its work. What only moves them in between moves floats.
 */
export const floatActivations: Pass = {
  name: 'float-activations',
  *propose(view) {
    for (const node of view.graph.node) {
      if (!isOp(node, 'QuantizeLinear')) continue
      const {
        input: [value = ''],
        output: [held = ''],
      } = node
      const quantization = quantizationOf(view, node)
      const ends = quantization && endsOf(view, held, quantization)
      if (quantization === undefined || ends === undefined || ends.length === 0) continue
      const { least, step, zero } = quantization
      const rounded = makeNode({
        op: 'Grid',
        domain: DOMAIN,
        inputs: [value],
        outputs: [held],
        name: node.name,
        attributes: {
          step: { float: step },
          zero: { int: zero - least },
          min: { float: (least - zero) * step },
          max: { float: (least + 255 - zero) * step },
        },
      })
      // Outputs of the graph keep their names.
      const [named, free] = [true, false].map((given) =>
        ends.filter(({ output }) => view.isOutput(output[0] ?? '') === given),
      )
      yield {
        what: `keep ${node.name} in floats`,
        remove: [node, ...ends],
        add: [
          rounded,
          ...(named ?? []).map((end) =>
            makeNode({ op: 'Identity', inputs: [end.input[0] ?? ''], outputs: [...end.output], name: end.name }),
          ),
        ],
        redirect: new Map((free ?? []).map((end) => [end.output[0] ?? '', end.input[0] ?? ''])),
      }
    }
  },
}

interface Quantization {
  readonly step: number
  readonly zero: number
  /** The least number that the type has, of 256. */
  readonly least: number
}

/** Of a tensor as a whole. */
function quantizationOf(view: GraphView, node: NodeProto): Quantization | undefined {
  const [, scaleName, zeroName] = node.input
  const step = scalarOf(view, scaleName)
  // Smaller ones are no normal floats, which nothing can be divided by.
  if (step === undefined || !(step >= 2 ** -126)) return undefined
  if (zeroName === undefined || zeroName === '') {
    // Without a zero point, an attribute says which eight bits they are; these are of UINT8 where it says nothing.
    const type = intOf(node, 'output_dtype', 0)
    return type === 0 || type === DataType.UINT8 ? { step, zero: 0, least: 0 } : undefined
  }
  const tensor = view.constant(zeroName)
  if (tensor?.dataType !== DataType.INT8 && tensor?.dataType !== DataType.UINT8) return undefined
  const [zero, ...others] = integersOf(tensor)
  return zero === undefined || others.length > 0
    ? undefined
    : { step, zero, least: tensor.dataType === DataType.INT8 ? -128 : 0 }
}

/** Operators that give what their first input holds, in another place or shape. */
const MOVING = [
  'Expand',
  'Flatten',
  'Identity',
  'MaxPool',
  'Reshape',
  'Slice',
  'Split',
  'Squeeze',
  'Tile',
  'Transpose',
  'Unsqueeze',
]

/** The nodes that make floats of eight bits again; undefined where anything else computes with these. */
function endsOf(view: GraphView, held: string, quantization: Quantization): NodeProto[] | undefined {
  const ends = new Set<NodeProto>()
  const values = [held]
  for (const value of values) {
    if (view.isOutput(value)) return undefined
    for (const { node, index } of view.uses(value)) {
      if (isOp(node, 'Shape')) continue
      if (index !== 0) return undefined
      if (isOp(node, 'DequantizeLinear')) {
        if (!isSame(quantizationOf(view, node), quantization)) return undefined
        ends.add(node)
      } else if (isOp(node, ...MOVING)) {
        values.push(...node.output.filter((output) => output !== ''))
      } else return undefined
    }
  }
  return [...ends]
}

function isSame(left: Quantization | undefined, right: Quantization): boolean {
  return left?.step === right.step && left.zero === right.zero && left.least === right.least
}
