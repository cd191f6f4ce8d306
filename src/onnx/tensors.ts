import type {
  AttributeProto,
  GraphProto,
  ModelProto,
  NodeProto,
  SparseTensorProto,
  TensorProto,
} from './schema/onnx_pb.js'

/**
 * Every tensor of a model: initializers and attributes, sparse ones' parts, inside subgraphs and functions too. What
 * belongs to training is left out: it is not run.
 */
export function* tensorsOf({ graph, functions }: ModelProto): Generator<TensorProto> {
  if (graph) yield* inGraph(graph)
  for (const { node } of functions) yield* inNodes(node)
}

function* inGraph({ node, initializer, sparseInitializer }: GraphProto): Generator<TensorProto> {
  yield* initializer
  for (const sparse of sparseInitializer) yield* inSparse(sparse)
  yield* inNodes(node)
}

function* inNodes(nodes: readonly NodeProto[]): Generator<TensorProto> {
  for (const { attribute } of nodes) {
    for (const { t, tensors, g, graphs, sparseTensor, sparseTensors } of attribute) {
      if (t) yield t
      yield* tensors
      if (sparseTensor) yield* inSparse(sparseTensor)
      for (const sparse of sparseTensors) yield* inSparse(sparse)
      if (g) yield* inGraph(g)
      for (const graph of graphs) yield* inGraph(graph)
    }
  }
}

function* inSparse({ values, indices }: SparseTensorProto): Generator<TensorProto> {
  if (values) yield values
  if (indices) yield indices
}

/** What a tensor is part of. */
export type TensorPlace = 'initializer' | 'attribute' | 'sparse'

type Change = (tensor: TensorProto, place: TensorPlace) => TensorProto

/** A model with its tensors changed; it shares with the given one what stays as it is. */
export function mapTensors(model: ModelProto, change: Change): ModelProto {
  return {
    ...model,
    ...(model.graph && { graph: mapGraph(model.graph, change) }),
    functions: model.functions.map((item) => ({ ...item, node: mapNodes(item.node, change) })),
  }
}

function mapGraph(graph: GraphProto, change: Change): GraphProto {
  return {
    ...graph,
    initializer: graph.initializer.map((tensor) => change(tensor, 'initializer')),
    sparseInitializer: graph.sparseInitializer.map((sparse) => mapSparse(sparse, change)),
    node: mapNodes(graph.node, change),
  }
}

function mapNodes(nodes: readonly NodeProto[], change: Change): NodeProto[] {
  return nodes.map((node) =>
    node.attribute.some(holdsTensors)
      ? { ...node, attribute: node.attribute.map((attribute) => mapAttribute(attribute, change)) }
      : node,
  )
}

function holdsTensors({ t, tensors, g, graphs, sparseTensor, sparseTensors }: AttributeProto): boolean {
  const lists = tensors.length + graphs.length + sparseTensors.length
  return lists > 0 || t !== undefined || g !== undefined || sparseTensor !== undefined
}

function mapAttribute(attribute: AttributeProto, change: Change): AttributeProto {
  if (!holdsTensors(attribute)) return attribute
  const { t, tensors, g, graphs, sparseTensor, sparseTensors } = attribute
  return {
    ...attribute,
    ...(t && { t: change(t, 'attribute') }),
    ...(g && { g: mapGraph(g, change) }),
    ...(sparseTensor && { sparseTensor: mapSparse(sparseTensor, change) }),
    tensors: tensors.map((tensor) => change(tensor, 'attribute')),
    graphs: graphs.map((graph) => mapGraph(graph, change)),
    sparseTensors: sparseTensors.map((sparse) => mapSparse(sparse, change)),
  }
}

function mapSparse(sparse: SparseTensorProto, change: Change): SparseTensorProto {
  const { values, indices } = sparse
  return {
    ...sparse,
    ...(values && { values: change(values, 'sparse') }),
    ...(indices && { indices: change(indices, 'sparse') }),
  }
}
