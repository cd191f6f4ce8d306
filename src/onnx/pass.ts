import { create } from '@bufbuild/protobuf'
import { OnnxError, printable } from './errors.ts'
import { capturedBy, type GraphView, graphsOf, Namer, opsetOf } from './graph.ts'
import { subgraphsOf } from './make.ts'
import {
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  OperatorSetIdProtoSchema,
  type TensorProto,
} from './schema/onnx_pb.js'

/** One change of one graph. The runner applies it; nothing else changes a model. */
export interface Patch {
  /** What it does, for reports and for finding the patch at fault: `fold bn1 into conv1`. */
  readonly what: string
  /** Nodes to take out, as the view holds them. */
  readonly remove?: readonly NodeProto[]
  /** Nodes to put in; the runner finds their places. What replaces a value gives it the same name. */
  readonly add?: readonly NodeProto[]
  /** Initializers to add, or to replace by name. */
  readonly initializers?: readonly TensorProto[]
  readonly removeInitializers?: readonly string[]
  /** Whoever reads the first value reads the second instead, in graphs inside as well. Not for outputs of the graph. */
  readonly redirect?: ReadonlyMap<string, string>
  /** Versions of operator sets that the new nodes need at least, by domain. */
  readonly opsets?: Readonly<Record<string, number>>
}

export interface PassContext {
  readonly namer: Namer
  readonly signal: AbortSignal
}

/** A rewriting of graphs. It reads a view and proposes patches, and never changes what it is given. */
export interface Pass {
  readonly name: string
  /** Proposed again until nothing comes; otherwise once a graph. */
  readonly repeat?: boolean
  /** Patches for one graph, which must not touch each other's nodes or initializers. Called for inner graphs too. */
  propose(view: GraphView, context: PassContext): Iterable<Patch> | AsyncIterable<Patch>
}

export interface AppliedPatch {
  readonly pass: string
  /** `GraphView.path` of the graph. */
  readonly graph: string
  readonly what: string
}

export interface RunPassesOptions {
  readonly signal: AbortSignal
  /** Applies this many patches and no more: halving it finds the patch that a fault comes from. */
  readonly stopAfter?: number
  /** Checks the model after each pass. @throws what is wrong with it */
  readonly validate?: (model: ModelProto) => void | Promise<void>
  readonly onPatch?: (patch: AppliedPatch) => void
}

export interface PassesResult {
  readonly model: ModelProto
  readonly applied: readonly AppliedPatch[]
}

/** A pass that still proposes something after this many rounds undoes its own work. */
const MOST_ROUNDS = 100

/**
 * Runs passes in order, on every graph of the model. The model given stays as it is; weights are shared with it.
 * @throws OnnxError that names the pass, where a patch does not fit or the result is not valid
 */
export async function runPasses(
  original: ModelProto,
  passes: readonly Pass[],
  { signal, stopAfter = Number.POSITIVE_INFINITY, validate, onPatch }: RunPassesOptions,
): Promise<PassesResult> {
  const model = copyModel(original)
  const applied: AppliedPatch[] = []
  for (const pass of passes) {
    const context: PassContext = { namer: new Namer(model), signal }
    const before = applied.length
    for (let round = 0, changed = true; changed; round++) {
      if (round === MOST_ROUNDS) throw new OnnxError('invalid_graph', `Pass "${pass.name}" does not come to an end.`)
      changed = false
      // Inner graphs first: what they still read decides what their outer graph may drop.
      for (const { graph, path } of graphsOf(model).reverse()) {
        const view = viewOf(model, graph)
        const patches: Patch[] = []
        for await (const patch of pass.propose(view, context)) {
          signal.throwIfAborted()
          if (applied.length + patches.length >= stopAfter) break
          patches.push(patch)
        }
        if (patches.length === 0) continue
        applyPatches(model, graph, patches, pass.name)
        for (const { what } of patches) {
          const entry = { pass: pass.name, graph: path, what }
          applied.push(entry)
          onPatch?.(entry)
        }
        changed = pass.repeat === true
      }
    }
    if (applied.length > before) await validated(pass.name, () => validate?.(model))
    if (applied.length >= stopAfter) break
  }
  return { model, applied }
}

async function validated(pass: string, validate: () => void | Promise<void>): Promise<void> {
  try {
    await validate()
  } catch (error) {
    throw new OnnxError('invalid_graph', `After pass "${pass}" the model is not valid: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

/** The view of a graph object in the model as it is now. */
function viewOf(model: ModelProto, graph: GraphProto): GraphView {
  const view = graphsOf(model).find((candidate) => candidate.graph === graph)
  if (view === undefined) throw new OnnxError('invalid_graph', 'A pass removed the graph that it was to work on.')
  return view
}

function applyPatches(model: ModelProto, graph: GraphProto, patches: readonly Patch[], pass: string): void {
  const position = new Map(graph.node.map((node, index) => [node, index]))
  const placed: { readonly node: NodeProto; readonly at: number }[] = []
  const removed = new Set<NodeProto>()
  const redirect = new Map<string, string>()
  const initializers = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]))
  for (const patch of patches) {
    let at = 0
    for (const node of patch.remove ?? []) {
      const index = position.get(node)
      if (index === undefined || removed.has(node)) {
        throw new OnnxError('invalid_graph', `Pass "${pass}" (${patch.what}) removes a node that is not there.`)
      }
      removed.add(node)
      at = Math.max(at, index)
    }
    for (const node of patch.add ?? []) placed.push({ node, at: patch.remove?.length ? at : graph.node.length })
    for (const name of patch.removeInitializers ?? []) initializers.delete(name)
    for (const tensor of patch.initializers ?? []) initializers.set(tensor.name, tensor)
    for (const [from, to] of patch.redirect ?? []) redirect.set(from, to)
    for (const [domain, version] of Object.entries(patch.opsets ?? {})) requireOpset(model, domain, version)
  }
  const kept = graph.node.flatMap((node, at) => (removed.has(node) ? [] : [{ node, at }]))
  const nodes = [...kept, ...placed].sort((left, right) => left.at - right.at).map(({ node }) => node)
  graph.node = redirect.size === 0 ? nodes : nodes.map((node) => redirected(node, redirect))
  graph.initializer = [...initializers.values()]
  graph.node = sorted(graph.node)
}

function requireOpset(model: ModelProto, domain: string, version: number): void {
  if (opsetOf(model, domain) >= version) return
  const others = model.opsetImport.filter((opset) => (opset.domain || 'ai.onnx') !== (domain || 'ai.onnx'))
  model.opsetImport = [...others, create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) })]
}

/** A node that reads other values; itself where nothing changes. */
function redirected(node: NodeProto, redirect: ReadonlyMap<string, string>): NodeProto {
  const end = (value: string): string => {
    let to = value
    for (let hops = 0; hops <= redirect.size && redirect.has(to); hops++) to = redirect.get(to) as string
    return to
  }
  const inputs = node.input.some((value) => redirect.has(value))
  const inside = [...capturedBy(node)].some((value) => redirect.has(value))
  if (!inputs && !inside) return node
  if (inside) {
    for (const graph of subgraphsOf(node)) {
      graph.node = graph.node.map((inner) => redirected(inner, redirect))
      for (const output of graph.output) if (redirect.has(output.name)) keepOutput(graph, output.name, end(output.name))
    }
  }
  return { ...node, input: node.input.map(end) }
}

/** A subgraph gives out a value of the graph around it under its own name. */
function keepOutput(graph: GraphProto, from: string, to: string): void {
  graph.output = graph.output.map((output) => (output.name === from ? { ...output, name: to } : output))
}

/**
 * Nodes in an order in which each comes after those it reads from, otherwise as they stood.
 * @throws OnnxError cycle
 */
export function sorted(nodes: readonly NodeProto[]): NodeProto[] {
  const producers = new Map<string, NodeProto>()
  for (const node of nodes) for (const value of node.output) if (value !== '') producers.set(value, node)
  const result: NodeProto[] = []
  const state = new Map<NodeProto, 'open' | 'done'>()
  for (const start of nodes) {
    // Depth first with a stack of its own: graphs are deeper than the engine's.
    const stack: { readonly node: NodeProto; readonly needs: NodeProto[] }[] = []
    const enter = (node: NodeProto): void => {
      const known = state.get(node)
      if (known === 'done') return
      if (known === 'open') {
        throw new OnnxError('cycle', `Node "${printable(node.name || node.opType)}" waits for its own output.`, {
          node: node.name,
        })
      }
      state.set(node, 'open')
      const read = [...node.input, ...capturedBy(node)]
      const needs = new Set(read.flatMap((value) => producers.get(value) ?? []))
      stack.push({ node, needs: [...needs].reverse() })
    }
    enter(start)
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = top.needs.pop()
      if (next !== undefined) {
        enter(next)
        continue
      }
      state.set(top.node, 'done')
      result.push(top.node)
      stack.pop()
    }
  }
  return result
}

/** A model whose graphs can be changed without changing the given one; nodes without subgraphs and tensors are shared. */
export function copyModel(model: ModelProto): ModelProto {
  return { ...model, opsetImport: [...model.opsetImport], ...(model.graph && { graph: copyGraph(model.graph) }) }
}

function copyGraph(graph: GraphProto): GraphProto {
  return { ...graph, node: graph.node.map(copyNode), initializer: [...graph.initializer] }
}

function copyNode(node: NodeProto): NodeProto {
  if (subgraphsOf(node).length === 0) return node
  return { ...node, attribute: node.attribute.map(copyAttribute) }
}

function copyAttribute(attribute: AttributeProto): AttributeProto {
  if (!attribute.g && attribute.graphs.length === 0) return attribute
  return {
    ...attribute,
    ...(attribute.g && { g: copyGraph(attribute.g) }),
    graphs: attribute.graphs.map(copyGraph),
  }
}
