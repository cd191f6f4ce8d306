import { DataType } from '../data.ts'
import type { GraphView } from '../graph.ts'
import { inferTypes, type TypeTable } from '../infer/infer.ts'
import { numberOf, numbersOf } from '../infer/types.ts'
import { intOf, intsOf } from '../make.ts'
import type { Pass, Patch } from '../pass.ts'
import type { NodeProto } from '../schema/onnx_pb.js'

/** Drops nodes that give out what they take in. */
export const dropIdentity: Pass = {
  name: 'drop-identity',
  repeat: true,
  *propose(view) {
    if (!view.graph.node.some(mayBeIdentity)) return
    const types = inferTypes(view.model, { declared: false })
    const touched = new Set<NodeProto>()
    for (const node of view.graph.node) {
      if (touched.has(node) || !isIdentity(node, view, types)) continue
      const patch = bypass(node, view)
      if (patch === undefined || patch.remove?.some((other) => touched.has(other))) continue
      for (const other of patch.remove ?? []) touched.add(other)
      yield patch
    }
  },
}

/** Operators that give out their first input unchanged, in the circumstances below. */
const CANDIDATES = new Set(
  'Identity Dropout Cast Transpose Reshape Flatten Squeeze Unsqueeze Expand Tile Slice Pad Concat Sum Max Min Mean'.split(
    ' ',
  ),
)

const mayBeIdentity = ({ domain, opType }: NodeProto): boolean =>
  (domain === '' || domain === 'ai.onnx') && CANDIDATES.has(opType)

function isIdentity(node: NodeProto, view: GraphView, types: TypeTable): boolean {
  if (!mayBeIdentity(node)) return false
  const type = (index: number) => types.of(view.graph, node.input[index] ?? '')
  const before = type(0)
  switch (node.opType) {
    case 'Identity':
      return true
    case 'Concat':
    case 'Sum':
    case 'Max':
    case 'Min':
    case 'Mean':
      return node.input.length === 1
    case 'Dropout':
      return isInference(node, view, types)
    case 'Cast':
      return before.elementType !== DataType.UNDEFINED && before.elementType === intOf(node, 'to', DataType.UNDEFINED)
    case 'Transpose':
      return intsOf(node, 'perm')?.every((axis, index) => axis === index) ?? false
    case 'Pad':
      return (intsOf(node, 'pads') ?? numbersOf(type(1)))?.every((size) => size === 0) ?? false
    case 'Tile':
      return numbersOf(type(1))?.every((times) => times === 1) ?? false
    case 'Slice':
      return keepsShape(node, view, types) && !(numbersOf(type(4))?.some((step) => step < 0) ?? node.input.length > 4)
    default:
      // The elements keep their order in all of these.
      return keepsShape(node, view, types)
  }
}

/** Whether the shape that comes out is known to be the one that goes in. */
function keepsShape(node: NodeProto, view: GraphView, types: TypeTable): boolean {
  const before = types.of(view.graph, node.input[0] ?? '').shape
  const after = types.of(view.graph, node.output[0] ?? '').shape
  return (
    before !== undefined &&
    before.length === after?.length &&
    before.every((dim, index) => dim !== null && dim === after[index])
  )
}

/** `Dropout` passes its input on, unless it is told to train or somebody reads its mask. */
function isInference(node: NodeProto, view: GraphView, types: TypeTable): boolean {
  const mask = node.output[1] ?? ''
  if (mask !== '' && (view.uses(mask).length > 0 || view.isOutput(mask))) return false
  const training = node.input[2] ?? ''
  // Before operator set 7 an attribute said whether it was a test.
  if (view.opset() < 7 && intOf(node, 'is_test', 0) === 0) return false
  return training === '' || numberOf(types.of(view.graph, training)) === 0
}

function bypass(node: NodeProto, view: GraphView): Patch | undefined {
  const [from = ''] = node.input
  const [to = ''] = node.output
  const what = `drop ${node.name || node.opType}`
  if (from === '' || to === '') return undefined
  if (!view.isOutput(to)) return { what, remove: [node], redirect: new Map([[to, from]]) }
  // An output keeps its name: whoever gives the value gives it under that name.
  const producer = view.producer(from)
  if (producer === undefined || view.isOutput(from)) return undefined
  const renamed = { ...producer, output: producer.output.map((value) => (value === from ? to : value)) }
  return { what, remove: [producer, node], add: [renamed], redirect: new Map([[from, to]]) }
}
