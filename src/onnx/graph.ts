import { create } from '@bufbuild/protobuf'
import { subgraphsOf } from './make.ts'
import {
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  type NodeProto,
  type TensorProto,
} from './schema/onnx_pb.js'

/** Where a value is read. */
export interface Use {
  /** A node of this graph; the one that holds the subgraph where the reading node is inside one. */
  readonly node: NodeProto
  /** Which of its inputs; -1 where the reading node is inside a subgraph. */
  readonly index: number
}

/** A graph, indexed for reading. It is a snapshot: a changed graph needs a new view. */
export class GraphView {
  readonly graph: GraphProto
  readonly model: ModelProto
  /** The graph around this one; undefined for the model's own. */
  readonly outer: GraphView | undefined
  /** Where it is, for messages and reports: empty for the model's own graph, else the holding nodes' names. */
  readonly path: string
  readonly #producers = new Map<string, NodeProto>()
  readonly #uses = new Map<string, Use[]>()
  readonly #initializers = new Map<string, TensorProto>()
  readonly #inputs: Set<string>
  readonly #outputs: Set<string>

  constructor(model: ModelProto, graph: GraphProto, outer?: GraphView, path = '') {
    this.model = model
    this.graph = graph
    this.outer = outer
    this.path = path
    this.#inputs = new Set(graph.input.map(({ name }) => name))
    this.#outputs = new Set(graph.output.map(({ name }) => name))
    for (const tensor of graph.initializer) this.#initializers.set(tensor.name, tensor)
    for (const node of graph.node) {
      for (const value of node.output) if (value !== '') this.#producers.set(value, node)
      for (const [index, value] of node.input.entries()) if (value !== '') this.#note(value, { node, index })
      for (const value of capturedBy(node)) this.#note(value, { node, index: -1 })
    }
  }

  /** Version of an operator set that the model imports; 0 if it imports none. '' and 'ai.onnx' are the same. */
  opset(domain = ''): number {
    return opsetOf(this.model, domain)
  }

  #note(value: string, use: Use): void {
    const known = this.#uses.get(value)
    if (known) known.push(use)
    else this.#uses.set(value, [use])
  }

  /** The node that gives a value in this graph. */
  producer(value: string): NodeProto | undefined {
    return this.#producers.get(value)
  }

  /** Readings of a value in this graph and the graphs inside it; outputs of the graph are not among them. */
  uses(value: string): readonly Use[] {
    return this.#uses.get(value) ?? []
  }

  isInput(value: string): boolean {
    return this.#inputs.has(value)
  }

  isOutput(value: string): boolean {
    return this.#outputs.has(value)
  }

  /**
   * The constant that a value is: an initializer of this graph or of one around it. Undefined for an initializer that
   * is also an input, which callers may override.
   */
  constant(value: string): TensorProto | undefined {
    if (this.#inputs.has(value) || this.#producers.has(value)) return undefined
    return this.#initializers.get(value) ?? this.outer?.constant(value)
  }

  /** Whether the initializer is this graph's own, and not of one around it. */
  ownsConstant(value: string): boolean {
    return this.#initializers.has(value) && !this.#inputs.has(value)
  }
}

export function opsetOf(model: ModelProto, domain: string): number {
  const same = (other: string): boolean => (other === 'ai.onnx' ? '' : other) === (domain === 'ai.onnx' ? '' : domain)
  return Number(model.opsetImport.find((opset) => same(opset.domain))?.version ?? 0n)
}

/** Names that mean a value of this graph itself, and not of one around it. */
export function ownValues(graph: GraphProto): Set<string> {
  const own = new Set([...graph.input, ...graph.initializer].map(({ name }) => name))
  for (const { values } of graph.sparseInitializer) if (values) own.add(values.name)
  for (const node of graph.node) for (const value of node.output) own.add(value)
  return own
}

/** Values that a node's subgraphs read from around them. */
export function capturedBy(node: NodeProto): Set<string> {
  const captured = new Set<string>()
  for (const graph of subgraphsOf(node)) {
    const own = ownValues(graph)
    const read = [
      ...graph.node.flatMap((inner) => [...inner.input, ...capturedBy(inner)]),
      ...graph.output.map(({ name }) => name),
    ]
    for (const value of read) if (value !== '' && !own.has(value)) captured.add(value)
  }
  return captured
}

/** Every graph of a model, the outer before the inner. */
export function graphsOf(model: ModelProto): GraphView[] {
  const views: GraphView[] = []
  const visit = (graph: GraphProto, outer: GraphView | undefined, path: string): void => {
    const view = new GraphView(model, graph, outer, path)
    views.push(view)
    for (const node of graph.node) {
      for (const inner of subgraphsOf(node)) {
        visit(inner, view, `${path}${path === '' ? '' : '/'}${node.name || node.opType}.${inner.name}`)
      }
    }
  }
  if (model.graph) visit(model.graph, undefined, '')
  return views
}

/** The bodies of a model's functions as graphs of their own, those inside of them left out. */
export function functionBodies(model: ModelProto): GraphView[] {
  return model.functions.map(
    ({ name, node }) => new GraphView(model, create(GraphProtoSchema, { node }), undefined, `function ${name}`),
  )
}

/** Gives names that no value, node or initializer of the model has yet. */
export class Namer {
  readonly #taken = new Set<string>()

  constructor(model: ModelProto) {
    for (const { graph } of graphsOf(model)) {
      for (const { name } of [...graph.output, ...graph.node]) this.#taken.add(name)
      for (const value of ownValues(graph)) this.#taken.add(value)
    }
  }

  /** `base`, or `base_1`, `base_2` ... */
  fresh(base: string): string {
    let name = base
    for (let count = 1; this.#taken.has(name); count++) name = `${base}_${count}`
    this.#taken.add(name)
    return name
  }
}
