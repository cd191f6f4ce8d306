import { create } from '@bufbuild/protobuf'
import { isOnnxError, OnnxError, safeName } from './errors.ts'
import { subgraphsOf } from './make.ts'
import { MAX_IR_VERSION } from './opsets.ts'
import { sorted } from './order.ts'
import { type FunctionProto, type ModelProto, type NodeProto, NodeProtoSchema } from './schema/onnx_pb.js'
import { checkBody, checkGraph } from './validate-graph.ts'
import { functionKey, functionsByKey, Operators } from './validate-operators.ts'

/**
 * Nodes that a graph may come to once its functions are written out in it, as ONNX Runtime does before running it. Forty
 * functions that call each other twice are a terabyte of nodes.
 */
const MAX_EXPANDED_NODES = 2_000_000

/**
 * Checks that a model adds up: one graph, every value given exactly once and before it is needed (also by graphs around
 * and inside), no circles, operators that exist in the operator sets imported, and data of the size declared. It accepts
 * what ONNX Runtime accepts, nodes out of order for example, and knows nothing of types and shapes of values. What
 * belongs to training is not looked at. Numbers that are not finite are as good as others.
 * @throws OnnxError invalid_graph, missing_value, cycle, unsupported, external_data, too_large; it names the node
 */
export function validateModel(model: ModelProto): void {
  const { graph, irVersion } = model
  if (graph === undefined) throw new OnnxError('invalid_graph', 'The model has no graph. Export it again.')
  if (irVersion > BigInt(MAX_IR_VERSION)) {
    throw new OnnxError(
      'unsupported',
      `The file has ONNX IR version ${irVersion}; ONNX Runtime reads versions up to ${MAX_IR_VERSION}. Export it with an older version of onnx.`,
    )
  }
  if (graph.output.length === 0) {
    throw new OnnxError('invalid_graph', 'The model has no outputs. Export it again.')
  }
  const functions = functionsByKey(model.functions)
  const operators = new Operators(model.opsetImport, functions)
  checkExpansion(graph.node, functions)
  for (const item of functions.values()) checkFunction(item, functions)
  checkGraph(graph, { operators, inFunction: false })
}

function checkFunction(item: FunctionProto, functions: ReadonlyMap<string, FunctionProto>): void {
  try {
    const operators = new Operators(item.opsetImport, functions)
    const body = { node: item.node, inputs: item.input, constants: [], outputs: item.output }
    checkBody(body, { operators, inFunction: true })
  } catch (error) {
    if (!isOnnxError(error)) throw error
    const { code, message, node = item.name } = error
    throw new OnnxError(code, `In function "${safeName(item.name)}": ${message}`, { node, cause: error })
  }
}

/** No function calls itself, and all of them written out are not too many nodes. */
function checkExpansion(main: readonly NodeProto[], functions: ReadonlyMap<string, FunctionProto>): void {
  if (functions.size === 0) return
  const calls = new Map([...functions].map(([key, { node }]) => [key, callsOf(node, functions)]))
  const sizes = new Map<string, number>()
  const sizeOf = ({ nodes, called }: Calls): number =>
    called.reduce((total, key) => Math.min(total + (sizes.get(key) ?? 0), Number.MAX_SAFE_INTEGER), nodes)
  for (const key of calleesFirst(calls)) {
    const body = calls.get(key)
    if (body) sizes.set(key, sizeOf(body))
  }
  if (sizeOf(callsOf(main, functions)) > MAX_EXPANDED_NODES) {
    throw new OnnxError(
      'too_large',
      `With its functions inlined, the model has more than ${MAX_EXPANDED_NODES} nodes. Export it without functions.`,
    )
  }
}

interface Calls {
  /** Nodes, those of graphs inside too. */
  readonly nodes: number
  /** Keys of the functions called, once for each call. */
  readonly called: readonly string[]
}

function callsOf(nodes: readonly NodeProto[], functions: ReadonlyMap<string, FunctionProto>): Calls {
  const called: string[] = []
  let count = 0
  const visit = (node: NodeProto): void => {
    count++
    const key = functionKey(node.domain, node.opType, node.overload)
    if (functions.has(key)) called.push(key)
    for (const graph of subgraphsOf(node)) graph.node.forEach(visit)
  }
  nodes.forEach(visit)
  return { nodes: count, called }
}

/** Functions in an order in which each comes after those it calls. */
function calleesFirst(calls: ReadonlyMap<string, Calls>): string[] {
  const nodes = [...calls].map(([key, { called }]) =>
    create(NodeProtoSchema, { name: key, opType: 'function', input: [...new Set(called)], output: [key] }),
  )
  try {
    return sorted(nodes).map(({ name }) => name)
  } catch (error) {
    const name = isOnnxError(error, 'cycle') ? error.node : undefined
    if (name === undefined) throw error
    const [, called = ''] = JSON.parse(name) as string[]
    throw new OnnxError('cycle', `Function "${safeName(called)}" calls itself. Export the model again.`, {
      node: called,
    })
  }
}
