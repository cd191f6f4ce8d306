import { create } from '@bufbuild/protobuf'
import { DataType } from '../../../onnx/data.ts'
import { type AttributeValue, makeFloatValue, makeNode } from '../../../onnx/make.ts'
import {
  TensorProto_DataLocation as DataLocation,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  TensorProtoSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../../../onnx/schema/onnx_pb.js'

/** What the graph of a static embedding is made of. */
export interface StaticGraph {
  readonly rows: number
  readonly width: number
  /** Tokens, where several of them share a row. */
  readonly mapped?: number
  /** Whether each token has a weight. */
  readonly weighted: boolean
  /** The file of the tensors, beside the model. */
  readonly data: string
}

/** A tensor in the file beside the model: floats, or 64-bit integers for `mapping`. In this order, without gaps. */
export interface DataPart {
  readonly name: 'embeddings' | 'weights' | 'mapping'
  readonly shape: readonly number[]
}

export function dataParts({ mapped, rows, weighted, width }: StaticGraph): DataPart[] {
  return [
    { name: 'embeddings', shape: [rows, width] },
    ...(weighted ? [{ name: 'weights' as const, shape: [mapped ?? rows] }] : []),
    ...(mapped === undefined ? [] : [{ name: 'mapping' as const, shape: [mapped] }]),
  ]
}

/**
 * A static embedding as a graph: the mean of the rows of a text's tokens, each times its token's weight if there are any.
 * It does not normalize: the settings beside it say whether vectors are brought to length 1.
 */
export function staticGraph(graph: StaticGraph): ModelProto {
  const { mapped, weighted, width } = graph
  const nodes: NodeProto[] = []
  const add = (op: string, inputs: readonly string[], attributes: Record<string, AttributeValue> = {}): string => {
    const output = `${op.toLowerCase()}_${nodes.length}`
    nodes.push(makeNode({ op, inputs, outputs: [output], name: output, attributes }))
    return output
  }
  const row = mapped === undefined ? 'input_ids' : add('Gather', ['mapping', 'input_ids'])
  const vectors = add('Gather', ['embeddings', row])
  const mask = add('Cast', ['attention_mask'], { to: { int: DataType.FLOAT } })
  const factor = weighted ? add('Mul', [add('Gather', ['weights', 'input_ids']), mask]) : mask
  const weightedVectors = add('Mul', [vectors, add('Unsqueeze', [factor, 'last'])])
  const sum = add('ReduceSum', [weightedVectors, 'tokens'], { keepdims: { int: 0 } })
  // Of a text without tokens the mean is zero, as model2vec has it.
  const count = add('Max', [add('ReduceSum', [mask, 'tokens'], { keepdims: { int: 1 } }), 'one'])
  const mean = add('Div', [sum, count])
  nodes.push(makeNode({ op: 'Identity', inputs: [mean], outputs: ['sentence_embedding'], name: 'output' }))
  return create(ModelProtoSchema, {
    irVersion: 8n,
    producerName: 'verge',
    opsetImport: [{ domain: '', version: 17n }],
    graph: {
      name: 'static-embedding',
      node: nodes,
      input: [integers('input_ids'), integers('attention_mask')],
      output: [makeFloatValue('sentence_embedding', ['batch', width])],
      initializer: [...external(graph), constant('last', [-1n]), constant('tokens', [1n]), one()],
    },
  })
}

function external(graph: StaticGraph): TensorProto[] {
  let offset = 0
  return dataParts(graph).map(({ name, shape }) => {
    const dataType = name === 'mapping' ? DataType.INT64 : DataType.FLOAT
    const length = shape.reduce((product, size) => product * size, name === 'mapping' ? 8 : 4)
    const fields = { location: graph.data, offset: String(offset), length: String(length) }
    offset += length
    return create(TensorProtoSchema, {
      name,
      dataType,
      dims: shape.map(BigInt),
      dataLocation: DataLocation.EXTERNAL,
      externalData: Object.entries(fields).map(([key, value]) => ({ key, value })),
    })
  })
}

function constant(name: string, values: readonly bigint[]): TensorProto {
  const rawData = new Uint8Array(BigInt64Array.from(values).buffer)
  return create(TensorProtoSchema, { name, dataType: DataType.INT64, dims: [BigInt(values.length)], rawData })
}

function one(): TensorProto {
  const rawData = new Uint8Array(Float32Array.of(1).buffer)
  return create(TensorProtoSchema, { name: 'one', dataType: DataType.FLOAT, dims: [], rawData })
}

function integers(name: string): ValueInfoProto {
  const dim = ['batch', 'tokens'].map((value) => ({ value: { case: 'dimParam' as const, value } }))
  const tensorType = { elemType: DataType.INT64, shape: { dim } }
  const type = create(TypeProtoSchema, { value: { case: 'tensorType', value: tensorType } })
  return create(ValueInfoProtoSchema, { name, type })
}
