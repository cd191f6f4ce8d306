import { nodeLabel, OnnxError, safeName } from './errors.ts'
import { subgraphsOf } from './make.ts'
import { sorted } from './order.ts'
import type { GraphProto, NodeProto } from './schema/onnx_pb.js'
import type { Operators } from './validate-operators.ts'
import { checkAttributes, checkSparse, checkTensor, checkType } from './validate-tensors.ts'

/** Nodes with what goes in and out: a graph, or the body of a function. */
export interface Body {
  readonly node: readonly NodeProto[]
  readonly inputs: readonly string[]
  readonly constants: readonly string[]
  readonly outputs: readonly string[]
}

export interface BodyContext {
  readonly operators: Operators
  readonly inFunction: boolean
}

/** Values that the nodes of a body may read. */
interface Scope {
  /** By name, the index of the node that gives it; `GIVEN` for inputs and constants. */
  readonly defined: ReadonlyMap<string, number>
  readonly outer: Scope | undefined
  /** Index of the node that is being looked at. */
  at: number
  /** Whether a node reads what itself or a later one gives: the nodes are out of order, or in a circle. */
  disordered: boolean
}

const GIVEN = -1

/** @throws OnnxError what is wrong with a graph, with those inside it and with what its nodes hold */
export function checkGraph(graph: GraphProto, context: BodyContext, outer?: Scope): void {
  graph.initializer.forEach(checkTensor)
  graph.sparseInitializer.forEach(checkSparse)
  for (const { name, type } of [...graph.input, ...graph.output, ...graph.valueInfo]) if (type) checkType(type, name)
  const body = {
    node: graph.node,
    inputs: graph.input.map(({ name }) => name),
    constants: [...graph.initializer, ...graph.sparseInitializer.map(({ values }) => values)].map(
      (tensor) => tensor?.name ?? '',
    ),
    outputs: graph.output.map(({ name }) => name),
  }
  checkBody(body, context, outer)
}

export function checkBody(body: Body, context: BodyContext, outer?: Scope): void {
  const scope: Scope = { defined: definitions(body, outer), outer, at: GIVEN, disordered: false }
  for (const [at, node] of body.node.entries()) {
    scope.at = at
    context.operators.check(node)
    checkAttributes(node, context.inFunction)
    for (const value of node.input) {
      if (value !== '' && !reads(scope, value)) {
        throw new OnnxError(
          'missing_value',
          `${nodeLabel(node)} reads "${safeName(value)}", which no input, initializer or node provides. Export the model again.`,
          { node: node.name || value },
        )
      }
    }
    for (const graph of subgraphsOf(node)) checkGraph(graph, context, scope)
  }
  for (const value of body.outputs) {
    if (scope.defined.has(value)) continue
    if (outer && reads(outer, value)) {
      throw fault(value, 'is an output of a subgraph but belongs to the outer graph; put an Identity node between')
    }
    throw new OnnxError(
      'missing_value',
      `Output "${safeName(value)}" is not produced by any node. Export the model again.`,
      {
        node: value,
      },
    )
  }
  if (scope.disordered) sorted(body.node)
}

/** All values of a body, each given once, and under a name that is not yet taken around it. */
function definitions({ node: nodes, inputs, constants }: Body, outer: Scope | undefined): Map<string, number> {
  const defined = new Map<string, number>()
  for (const value of inputs) {
    if (value === '') throw fault(value, 'is an input without a name')
    if (defined.has(value)) throw fault(value, 'is an input twice')
    defined.set(value, GIVEN)
  }
  const seen = new Set<string>()
  for (const value of constants) {
    if (value === '') throw fault(value, 'is an initializer without a name')
    if (seen.has(value)) throw fault(value, 'is an initializer twice')
    seen.add(value)
    defined.set(value, GIVEN)
  }
  const names = new Set<string>()
  for (const [at, node] of nodes.entries()) {
    // ONNX Runtime refuses such a graph, and every report names nodes.
    if (node.name !== '' && names.has(node.name)) throw fault(node.name, 'is the name of two nodes')
    names.add(node.name)
    for (const value of node.output) {
      if (value === '') continue
      if (defined.has(value) || takenAround(outer, value)) {
        throw new OnnxError(
          'invalid_graph',
          `${nodeLabel(node)} gives "${safeName(value)}", which is given already. Export the model again.`,
          { node: node.name || value },
        )
      }
      defined.set(value, at)
    }
  }
  return defined
}

/** Whether a name means something in the graphs around, at the place where this one is run. */
function takenAround(outer: Scope | undefined, value: string): boolean {
  for (let scope = outer; scope; scope = scope.outer) {
    const at = scope.defined.get(value)
    if (at !== undefined && at < scope.at) return true
  }
  return false
}

/** Whether a value can be read, here or around; notes where it is given later than it is read. */
function reads(from: Scope, value: string): boolean {
  for (let scope: Scope | undefined = from; scope; scope = scope.outer) {
    const at = scope.defined.get(value)
    if (at === undefined) continue
    if (at >= scope.at) scope.disordered = true
    return true
  }
  return false
}

function fault(name: string, reason: string): OnnxError {
  return new OnnxError('invalid_graph', `"${safeName(name)}" ${reason}. Export the model again.`, { node: name })
}
