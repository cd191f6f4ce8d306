import { create } from '@bufbuild/protobuf'
import { isOnnxError, OnnxError } from './errors.ts'
import { capturedBy, GraphView, graphsOf, Namer, opsetOf, ownValues } from './graph.ts'
import { subgraphsOf } from './make.ts'
import { sorted } from './order.ts'
import {
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  OperatorSetIdProtoSchema,
  type TensorProto,
  type ValueInfoProto,
} from './schema/onnx_pb.js'

export { sorted }

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
  /** Inputs of the graph that callers may no longer give: constants that were inputs too. */
  readonly removeInputs?: readonly string[]
  /** Inputs and outputs of the graph that get another type, by their names. */
  readonly retype?: readonly ValueInfoProto[]
  /** Versions of operator sets that the new nodes need at least, by domain. */
  readonly opsets?: Readonly<Record<string, number>>
  /** Version of the file format that the change needs at least. */
  readonly irVersion?: number
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
      for (const { graph, outer, path } of graphsOf(model).reverse()) {
        // The graphs inside may read other values by now; those around are as they were.
        const view = new GraphView(model, graph, outer, path)
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
    if (applied.length > before) await validated(pass.name, signal, () => validate?.(model))
    if (applied.length >= stopAfter) break
  }
  return { model, applied }
}

async function validated(pass: string, signal: AbortSignal, validate: () => void | Promise<void>): Promise<void> {
  try {
    await validate()
  } catch (error) {
    signal.throwIfAborted()
    const node = isOnnxError(error) ? error.node : undefined
    throw new OnnxError('invalid_graph', `After pass "${pass}" the model is not valid: ${(error as Error).message}`, {
      cause: error,
      ...(node !== undefined && { node }),
    })
  }
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
    if (model.irVersion < (patch.irVersion ?? 0)) model.irVersion = BigInt(patch.irVersion ?? 0)
    applyToSignature(graph, patch)
  }
  const kept = graph.node.flatMap((node, at) => (removed.has(node) ? [] : [{ node, at }]))
  const nodes = [...kept, ...placed].sort((left, right) => left.at - right.at).map(({ node }) => node)
  graph.node = redirect.size === 0 ? nodes : nodes.map((node) => redirected(node, redirect))
  graph.initializer = [...initializers.values()]
  graph.node = sorted(graph.node)
  // A declared type of a value that is gone would be a claim about nothing.
  const own = ownValues(graph)
  graph.valueInfo = graph.valueInfo.filter(({ name }) => own.has(name))
}

function applyToSignature(graph: GraphProto, { removeInputs = [], retype = [] }: Patch): void {
  const types = new Map(retype.map((value) => [value.name, value]))
  const removed = new Set(removeInputs)
  graph.input = graph.input.filter(({ name }) => !removed.has(name)).map((value) => types.get(value.name) ?? value)
  graph.output = graph.output.map((value) => types.get(value.name) ?? value)
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
      const own = ownValues(graph)
      const around = new Map([...redirect].filter(([value]) => !own.has(value)))
      graph.node = graph.node.map((inner) => redirected(inner, around))
      for (const output of graph.output) if (around.has(output.name)) keepOutput(graph, output.name, end(output.name))
    }
  }
  return { ...node, input: node.input.map(end) }
}

/** A subgraph gives out a value of the graph around it under its own name. */
function keepOutput(graph: GraphProto, from: string, to: string): void {
  graph.output = graph.output.map((output) => (output.name === from ? { ...output, name: to } : output))
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
