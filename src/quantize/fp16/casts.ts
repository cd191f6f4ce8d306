import { create } from '@bufbuild/protobuf'
import { DataType } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import type { TypeTable } from '../../onnx/infer/infer.ts'
import { intOf, makeNode } from '../../onnx/make.ts'
import type { PassContext, Patch } from '../../onnx/pass.ts'
import {
  type NodeProto,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
} from '../../onnx/schema/onnx_pb.js'

export const isCastTo = (node: NodeProto, type: DataType): boolean =>
  node.opType === 'Cast' && node.domain === '' && intOf(node, 'to', DataType.UNDEFINED) === type

/** The node that gives a value in a graph or in one around it. */
function producerOf(view: GraphView | undefined, value: string): NodeProto | undefined {
  return view && (view.producer(value) ?? producerOf(view.outer, value))
}

/** Takes out casts to halves of what was cast from halves: exact, since every half is a float. */
export function* mergedCasts(view: GraphView, types: TypeTable): Iterable<Patch> {
  const touched = new Set<NodeProto>()
  for (const node of view.graph.node) {
    const [value = ''] = node.input
    const [result = ''] = node.output
    if (!isCastTo(node, DataType.FLOAT16)) continue
    const before = producerOf(view, value)
    const source = before?.input[0]
    if (before === undefined || source === undefined || !isCastTo(before, DataType.FLOAT)) continue
    if (types.of(view.graph, source).elementType !== DataType.FLOAT16) continue
    const what = `drop ${node.name}`
    if (!view.isOutput(result)) {
      yield { what, remove: [node], redirect: new Map([[result, source]]) }
      continue
    }
    // An output keeps its name: whoever gives the half gives it under that name.
    const producer = view.producer(source)
    if (producer === undefined || touched.has(producer) || view.isOutput(source)) continue
    touched.add(producer)
    const renamed = { ...producer, output: producer.output.map((name) => (name === source ? result : name)) }
    yield { what, remove: [producer, node], add: [renamed], redirect: new Map([[source, result]]) }
  }
}

/**
 * Makes the model's inputs and outputs halves, with casts to and from the floats that the graph goes on with. Those
 * that are read inside other graphs stay floats.
 */
export function* ioPatches(view: GraphView, types: TypeTable, { namer }: PassContext): Iterable<Patch> {
  const isFloat = ({ name }: ValueInfoProto): boolean => types.of(view.graph, name).elementType === DataType.FLOAT
  const cast = (from: string, to: string, type: DataType): NodeProto =>
    makeNode({
      op: 'Cast',
      name: namer.fresh(`${to}_cast`),
      inputs: [from],
      outputs: [to],
      attributes: { to: { int: type } },
    })
  const touched = new Set<NodeProto>()
  for (const input of view.graph.input.filter(isFloat)) {
    const uses = view.uses(input.name)
    const users = [...new Set(uses.map(({ node }) => node))]
    if (uses.some(({ index }) => index < 0) || users.some((node) => touched.has(node))) continue
    if (view.graph.initializer.some(({ name }) => name === input.name) || view.isOutput(input.name)) continue
    const inner = namer.fresh(`${input.name}_fp32`)
    for (const node of users) touched.add(node)
    yield {
      what: `fp16 input ${input.name}`,
      remove: users,
      add: [
        cast(input.name, inner, DataType.FLOAT),
        ...users.map((node) => ({
          ...node,
          input: node.input.map((value) => (value === input.name ? inner : value)),
        })),
      ],
      retype: [halved(input)],
    }
  }
  for (const output of view.graph.output.filter(isFloat)) {
    const producer = view.producer(output.name)
    if (producer === undefined || touched.has(producer)) continue
    touched.add(producer)
    const inner = namer.fresh(`${output.name}_fp32`)
    const renamed = { ...producer, output: producer.output.map((value) => (value === output.name ? inner : value)) }
    yield {
      what: `fp16 output ${output.name}`,
      remove: [producer],
      add: [renamed, cast(inner, output.name, DataType.FLOAT16)],
      redirect: new Map([[output.name, inner]]),
      retype: [halved(output)],
    }
  }
}

function halved(value: ValueInfoProto): ValueInfoProto {
  const type = value.type
  const shape = type?.value.case === 'tensorType' ? type.value.value.shape : undefined
  const tensorType = create(TypeProto_TensorSchema, { elemType: DataType.FLOAT16, ...(shape && { shape }) })
  return { ...value, type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensorType } }) }
}
