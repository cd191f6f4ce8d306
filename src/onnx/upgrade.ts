import { create } from '@bufbuild/protobuf'
import { OnnxError, safeName } from './errors.ts'
import { GraphView, Namer, opsetOf } from './graph.ts'
import { subgraphsOf } from './make.ts'
import { copyModel, sorted } from './pass.ts'
import {
  type GraphProto,
  type ModelProto,
  type NodeProto,
  OperatorSetIdProtoSchema,
  type TensorProto,
} from './schema/onnx_pb.js'
import { CARRIED_OVER, NEWEST_TARGET, OLDEST_SOURCE, RULES, type UpgradeContext } from './upgrade-rules.ts'

/** IR version that came with an operator set, from ONNX's table of releases; older files may not import newer sets. */
const IR_OF_OPSET: Readonly<Record<number, bigint>> = { 8: 3n, 9: 4n, 10: 5n, 11: 6n, 12: 7n, 13: 7n }

/**
 * A model in a newer version of the default operator set. The model given stays as it is; weights are shared with it. A
 * model that has the version already comes back as a copy. Operators of other domains stay.
 *
 * The changes are those that ONNX's operator changelog (docs/Changelog.md) gives from version 7 to 13; inference alone
 * is meant: what only training reads (a dropout's ratio and mask, a running mean) is dropped or refused.
 * @param target at most 13
 * @throws OnnxError unsupported, with the node's name, for what cannot be carried over
 */
export function upgradeOpset(model: ModelProto, target: number): ModelProto {
  const from = opsetOf(model, '')
  const result = copyModel(model)
  if (from >= target || from === 0 || result.graph === undefined) return result
  if (target > NEWEST_TARGET) {
    throw new OnnxError(
      'unsupported',
      `Verge upgrades models to operator set ${NEWEST_TARGET} at most, not to ${target}.`,
    )
  }
  if (from < OLDEST_SOURCE) {
    throw new OnnxError(
      'unsupported',
      `The model uses operator set ${from}; the oldest supported one is ${OLDEST_SOURCE}. Export it again with a newer one.`,
    )
  }
  if (model.functions.length > 0) {
    throw new OnnxError(
      'unsupported',
      'A model with local functions cannot be upgraded. Export it with a newer operator set.',
    )
  }
  const namer = new Namer(model)
  upgradeGraph(result, result.graph, { from, target, namer })
  const others = model.opsetImport.filter(({ domain }) => domain !== '' && domain !== 'ai.onnx')
  result.opsetImport = [create(OperatorSetIdProtoSchema, { domain: '', version: BigInt(target) }), ...others]
  const irVersion = IR_OF_OPSET[target] ?? model.irVersion
  if (result.irVersion < 4n && irVersion >= 4n) disownInputs(result.graph)
  if (result.irVersion < irVersion) result.irVersion = irVersion
  return result
}

/**
 * Until IR version 3 every initializer was listed among the inputs and was constant nevertheless. From version 4 on, one
 * that is listed can be overridden, and no runtime may fold it.
 */
function disownInputs(graph: GraphProto): void {
  const initialized = new Set(graph.initializer.map(({ name }) => name))
  graph.input = graph.input.filter(({ name }) => !initialized.has(name))
}

interface Steps {
  readonly from: number
  readonly target: number
  readonly namer: Namer
}

function upgradeGraph(model: ModelProto, graph: GraphProto, steps: Steps, outer?: GraphView): void {
  const view = new GraphView(model, graph, outer)
  const added: TensorProto[] = []
  const context: UpgradeContext = {
    view,
    fresh: (base) => steps.namer.fresh(base),
    constant(tensor) {
      added.push(tensor)
      return tensor.name
    },
  }
  const nodes = graph.node.flatMap((node) => {
    for (const inner of subgraphsOf(node)) upgradeGraph(model, inner, steps, view)
    return upgradeNode(node, context, steps)
  })
  graph.node = sorted(nodes)
  graph.initializer = [...graph.initializer, ...added]
}

function upgradeNode(node: NodeProto, context: UpgradeContext, { from, target }: Steps): NodeProto[] {
  if (node.domain !== '' && node.domain !== 'ai.onnx') return [node]
  let nodes = [node]
  for (let version = from + 1; version <= target; version++) {
    nodes = nodes.flatMap((current) => RULES[current.opType]?.[version]?.(current, context) ?? [current])
  }
  if (RULES[node.opType] === undefined && !CARRIED_OVER.has(node.opType)) {
    throw new OnnxError(
      'unsupported',
      `Operator ${safeName(node.opType)} of node "${safeName(node.name || node.output[0] || '')}" is not known between ` +
        `operator sets ${from} and ${target}. Export the model again with operator set ${target} or newer.`,
      { node: node.name },
    )
  }
  return nodes
}
