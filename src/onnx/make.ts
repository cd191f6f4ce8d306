import { create } from '@bufbuild/protobuf'
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './schema/onnx_pb.js'

export type AttributeValue =
  | { readonly int: number | bigint }
  | { readonly float: number }
  | { readonly string: string }
  | { readonly ints: readonly (number | bigint)[] }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] }
  | { readonly tensor: TensorProto }
  | { readonly graph: GraphProto }

export interface NodeFields {
  readonly op: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly name: string
  readonly domain?: string
  readonly attributes?: Readonly<Record<string, AttributeValue>>
}

const utf8 = new TextEncoder()
const text = new TextDecoder()

export function makeNode({ op, inputs, outputs, name, domain = '', attributes = {} }: NodeFields): NodeProto {
  return create(NodeProtoSchema, {
    opType: op,
    domain,
    name,
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attributes).map(([key, value]) => makeAttribute(key, value)),
  })
}

export function makeAttribute(name: string, value: AttributeValue): AttributeProto {
  const make = (type: AttributeType, fields: object): AttributeProto =>
    create(AttributeProtoSchema, { name, type, ...fields })
  if ('int' in value) return make(AttributeType.INT, { i: BigInt(value.int) })
  if ('float' in value) return make(AttributeType.FLOAT, { f: value.float })
  if ('string' in value) return make(AttributeType.STRING, { s: utf8.encode(value.string) })
  if ('ints' in value) return make(AttributeType.INTS, { ints: value.ints.map(BigInt) })
  if ('floats' in value) return make(AttributeType.FLOATS, { floats: [...value.floats] })
  if ('strings' in value)
    return make(AttributeType.STRINGS, { strings: value.strings.map((item) => utf8.encode(item)) })
  if ('graph' in value) return make(AttributeType.GRAPH, { g: value.graph })
  return make(AttributeType.TENSOR, { t: value.tensor })
}

/** An input or output of floats. @param shape undefined for a size that nothing is said of, a name for one that may vary */
export function makeFloatValue(name: string, shape: readonly (number | string | undefined)[]): ValueInfoProto {
  const dim = shape.map((size) => {
    if (size === undefined) return {}
    return typeof size === 'number'
      ? { value: { case: 'dimValue' as const, value: BigInt(size) } }
      : { value: { case: 'dimParam' as const, value: size } }
  })
  const tensorType = { elemType: TensorProto_DataType.FLOAT, shape: { dim } }
  const type = create(TypeProtoSchema, { value: { case: 'tensorType', value: tensorType } })
  return create(ValueInfoProtoSchema, { name, type })
}

export function attributeOf(node: NodeProto, name: string): AttributeProto | undefined {
  return node.attribute.find((attribute) => attribute.name === name)
}

export function intOf(node: NodeProto, name: string, otherwise: number): number {
  const attribute = attributeOf(node, name)
  return attribute === undefined ? otherwise : Number(attribute.i ?? 0n)
}

export function floatOf(node: NodeProto, name: string, otherwise: number): number {
  const attribute = attributeOf(node, name)
  return attribute === undefined ? otherwise : (attribute.f ?? 0)
}

export function intsOf(node: NodeProto, name: string): number[] | undefined {
  return attributeOf(node, name)?.ints.map(Number)
}

export function stringOf(node: NodeProto, name: string, otherwise: string): string {
  const attribute = attributeOf(node, name)
  return attribute === undefined ? otherwise : text.decode(attribute.s ?? new Uint8Array(0))
}

/** Whether a node's operator is of ONNX itself. */
export function isStandard({ domain }: Pick<NodeProto, 'domain'>): boolean {
  return domain === '' || domain === 'ai.onnx'
}

/** Graphs in a node's attributes: the branches of an `If`, the body of a `Loop`. */
export function subgraphsOf(node: NodeProto): GraphProto[] {
  return node.attribute.flatMap(({ g, graphs }) => (g ? [g, ...graphs] : graphs))
}
