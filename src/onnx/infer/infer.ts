import { opsetOf } from '../graph.ts'
import { subgraphsOf } from '../make.ts'
import type { GraphProto, ModelProto, NodeProto } from '../schema/onnx_pb.js'
import { ruleOf } from './rules.ts'
import { declared, describe } from './tensor.ts'
import { typed, UNKNOWN, type ValueType } from './types.ts'

interface Scope {
  readonly types: Map<string, ValueType>
  readonly outer: Scope | undefined
}

/**
 * How often bodies of loops are looked at again. Loops inside loops multiply; what goes beyond is left unknown, so that
 * a model made to be slow is not.
 */
const MOST_RETURNS = 2_000

/** What was found out about the values of a model. A snapshot: a changed model has to be looked at again. */
export class TypeTable {
  readonly #scopes: ReadonlyMap<GraphProto, Scope>

  constructor(scopes: ReadonlyMap<GraphProto, Scope>) {
    this.#scopes = scopes
  }

  /** The type of a value as it is seen in a graph of the model; `UNKNOWN` where nothing was found out. */
  of(graph: GraphProto, value: string): ValueType {
    return lookUp(this.#scopes.get(graph), value)
  }
}

function lookUp(scope: Scope | undefined, value: string): ValueType {
  for (let at = scope; at !== undefined; at = at.outer) {
    const found = at.types.get(value)
    if (found !== undefined) return found
  }
  return UNKNOWN
}

export interface InferOptions {
  /** Whether declared types of values between inputs and outputs fill the gaps; true unless said otherwise. */
  readonly declared?: boolean
}

/**
 * Element types and shapes of all values of a model, as far as they follow from its inputs, constants and operators.
 * Declared types of values between count only where a rule finds nothing: exporters get them wrong. Never throws: what
 * an unknown or malformed node gives is unknown. The rules are those of the operators' specifications
 * (https://onnx.ai/onnx/operators) and of ONNX Runtime's ContribOperators.md.
 */
export function inferTypes(model: ModelProto, { declared: trusting = true }: InferOptions = {}): TypeTable {
  const scopes = new Map<GraphProto, Scope>()
  const own = new Set(model.functions.map(({ domain, name }) => `${domain}.${name}`))

  let returns = 0

  const forget = (graph: GraphProto, outer: Scope | undefined): void => {
    const scope: Scope = { types: new Map(graph.input.map(({ name }) => [name, UNKNOWN])), outer }
    for (const node of graph.node) {
      for (const value of node.output) scope.types.set(value, UNKNOWN)
      for (const inner of subgraphsOf(node)) forget(inner, scope)
    }
    scopes.set(graph, scope)
  }

  const inferGraph = (graph: GraphProto, inputs: readonly ValueType[], outer: Scope | undefined): ValueType[] => {
    if (scopes.has(graph) && ++returns > MOST_RETURNS) {
      forget(graph, outer)
      return []
    }
    const types = new Map<string, ValueType>()
    const scope: Scope = { types, outer }
    scopes.set(graph, scope)
    for (const tensor of graph.initializer) types.set(tensor.name, describe(tensor))
    for (const tensor of graph.sparseInitializer) {
      const { name = '', dataType = 0 } = tensor.values ?? {}
      types.set(name, typed(dataType, tensor.dims.map(Number)))
    }
    for (const [index, input] of graph.input.entries()) {
      const constant = types.get(input.name)
      // A caller may override a constant that is an input too, with another shape where the input's is open.
      const given = constant ? typed(constant.elementType, constant.shape) : (inputs[index] ?? UNKNOWN)
      const hint = declared(input.type, outer === undefined)
      types.set(input.name, refined(given, outer && !trusting ? typed(hint.elementType) : hint))
    }
    const between = trusting ? [...graph.valueInfo, ...graph.output] : []
    const hints = new Map(between.map(({ name, type }) => [name, declared(type, false)]))
    for (const node of graph.node) {
      const found = inferNode(node, scope)
      for (const [index, value] of node.output.entries()) {
        if (value !== '') types.set(value, refined(found[index] ?? UNKNOWN, hints.get(value) ?? UNKNOWN))
      }
    }
    return graph.output.map(({ name }) => lookUp(scope, name))
  }

  const inferNode = (node: NodeProto, scope: Scope): readonly ValueType[] => {
    const rule = own.has(`${node.domain}.${node.opType}`) ? undefined : ruleOf(node)
    const entered = new Set<GraphProto>()
    const enter = (graph: GraphProto, inputs: readonly ValueType[]): readonly ValueType[] => {
      entered.add(graph)
      return inferGraph(graph, inputs, scope)
    }
    let found: readonly ValueType[] = []
    try {
      const inputs = node.input.map((value) => (value === '' ? UNKNOWN : lookUp(scope, value)))
      found = rule?.({ node, opset: opsetOf(model, node.domain), inputs, inferGraph: enter }) ?? []
    } catch {
      // Attributes that no operator set allows, in a model that validation is yet to refuse.
    }
    for (const graph of subgraphsOf(node)) if (!entered.has(graph)) inferGraph(graph, [], scope)
    return found
  }

  if (model.graph) inferGraph(model.graph, [], undefined)
  return new TypeTable(scopes)
}

/** What was inferred, with what is declared in the gaps. */
function refined(type: ValueType, hint: ValueType): ValueType {
  const elementType = type.elementType || hint.elementType
  if (type.shape === undefined) return typed(elementType, hint.shape, type.values)
  if (hint.shape?.length !== type.shape.length) return { ...type, elementType }
  const shape = type.shape.map((dim, index) => (dim === null ? (hint.shape?.[index] ?? null) : dim))
  return typed(elementType, shape, type.values)
}
