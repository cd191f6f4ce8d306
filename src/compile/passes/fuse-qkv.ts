import type { GraphView } from '../../onnx/graph.ts'
import { type AttributeValue, intOf, intsOf, makeAttribute, makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { AttributeProto, NodeProto } from '../../onnx/schema/onnx_pb.js'
import { DOMAIN, isFused, soleProducer, Taken } from '../pattern.ts'

/**
 * The three products that give an attention its queries, keys and values from one input, as one: `verge.Linear` with
 * three weights and biases in turn, and the attention reads its columns.
 */
export const fuseQkv: Pass = {
  name: 'fuse-qkv',
  *propose(view, { namer }) {
    const taken = new Taken()
    for (const attention of view.graph.node) {
      const parts = isFused(attention, 'Attention') ? threeParts(view, attention) : undefined
      const rotations = parts?.flatMap(({ rotation }) => rotation ?? []) ?? []
      const linears = parts?.map(({ linear }) => linear) ?? []
      const [first] = linears
      if (parts === undefined || first === undefined || !taken.take(attention, ...linears, ...rotations)) continue
      const joined = namer.fresh(`${first.output[0]}_qkv`)
      const width = intOf(attention, 'heads', 0) * intOf(attention, 'size', 0)
      yield {
        what: `fuse the products of ${attention.name}`,
        remove: [attention, ...linears, ...rotations],
        add: [
          makeNode({
            op: 'Linear',
            domain: DOMAIN,
            inputs: [first.input[0] ?? '', ...linears.flatMap(({ input }) => [input[1] ?? '', input[2] ?? ''])],
            outputs: [joined],
            name: first.name,
            attributes: { transposed: { int: intOf(first, 'transposed', 0) } },
          }),
          ...parts.flatMap(({ rotation }, place) =>
            rotation === undefined
              ? []
              : [
                  {
                    ...rotation,
                    input: [joined, ...rotation.input.slice(1)],
                    attribute: withAttribute(rotation, 'offset', { int: place * width }),
                  },
                ],
          ),
          {
            ...attention,
            input: [...parts.map(({ rotation }) => rotation?.output[0] ?? joined), attention.input[3] ?? ''],
            attribute: withAttribute(attention, 'offsets', {
              ints: parts.map(({ rotation }, place) => (rotation === undefined ? place * width : 0)),
            }),
          },
        ],
      }
    }
  },
}

function withAttribute(node: NodeProto, name: string, value: AttributeValue): AttributeProto[] {
  return [...node.attribute.filter((attribute) => attribute.name !== name), makeAttribute(name, value)]
}

interface Part {
  readonly linear: NodeProto
  /** What turns the product's channels by their positions. */
  readonly rotation: NodeProto | undefined
}

function threeParts(view: GraphView, attention: NodeProto): Part[] | undefined {
  if ((intsOf(attention, 'offsets') ?? []).some((offset) => offset !== 0)) return undefined
  const parts = attention.input.slice(0, 3).flatMap((value): Part[] => {
    const node = soleProducer(view, value)
    const rotation = isFused(node, 'Rotary') && intOf(node, 'offset', 0) === 0 ? node : undefined
    const linear = rotation === undefined ? node : soleProducer(view, rotation.input[0])
    return isFused(linear, 'Linear') && linear.input.length === 3 ? [{ linear, rotation }] : []
  })
  const [first] = parts
  if (first === undefined || parts.length !== 3) return undefined
  const alike = parts.every(
    ({ linear }) =>
      linear.input[0] === first.linear.input[0] &&
      intOf(linear, 'transposed', 0) === intOf(first.linear, 'transposed', 0),
  )
  return alike ? parts : undefined
}
