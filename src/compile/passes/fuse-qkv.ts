import { DataType, makeTensor } from '../../onnx/data.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { type AttributeValue, intOf, intsOf, makeAttribute, makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { AttributeProto, NodeProto } from '../../onnx/schema/onnx_pb.js'
import { DOMAIN, isFused, Taken } from '../pattern.ts'

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
      // Exports read shapes of one that they have at hand; steps that nothing needs are left out later.
      const read = parts.flatMap(({ linear, rotation }, place) =>
        view.uses(linear.output[0] ?? '').some(({ node }) => node !== attention && node !== rotation)
          ? [{ linear, place }]
          : [],
      )
      const names = ['axis', ...(read.length > 0 ? [0, 1, 2, 3] : [])].map((end) => namer.fresh(`${joined}_${end}`))
      const bounds = (place: number): readonly string[] => [
        names[place + 1] ?? '',
        names[place + 2] ?? '',
        names[0] ?? '',
      ]
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
          ...read.map(({ linear, place }) => cut(joined, linear, bounds(place))),
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
        initializers: (read.length > 0 ? names : []).map((name, index) =>
          makeTensor(name, DataType.INT64, [1], BigInt64Array.of(BigInt(index === 0 ? -1 : (index - 1) * width))),
        ),
      }
    }
  },
}

/** What one product alone gave. */
function cut(joined: string, linear: NodeProto, bounds: readonly string[]): NodeProto {
  return makeNode({ op: 'Slice', inputs: [joined, ...bounds], outputs: [...linear.output], name: linear.name })
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
    const node = view.producer(value)
    const rotation = isFused(node, 'Rotary') && intOf(node, 'offset', 0) === 0 ? node : undefined
    const linear = rotation === undefined ? node : view.producer(rotation.input[0] ?? '')
    const isOwn = rotation === undefined || view.uses(value).length === 1
    const isHidden = !view.isOutput(value) && !view.isOutput(linear?.output[0] ?? '')
    return isOwn && isHidden && isFused(linear, 'Linear') && linear.input.length === 3 ? [{ linear, rotation }] : []
  })
  const [first] = parts
  if (first === undefined || new Set(parts.map(({ linear }) => linear)).size !== 3) return undefined
  const alike = parts.every(
    ({ linear }) =>
      linear.input[0] === first.linear.input[0] &&
      intOf(linear, 'transposed', 0) === intOf(first.linear, 'transposed', 0),
  )
  return alike ? parts : undefined
}
