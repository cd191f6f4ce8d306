import type { GraphView } from '../../onnx/graph.ts'
import { intOf, makeNode } from '../../onnx/make.ts'
import type { Pass } from '../../onnx/pass.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
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
      const linears = isFused(attention, 'Attention') ? threeLinears(view, attention) : undefined
      if (linears === undefined || !taken.take(attention, ...linears)) continue
      const [first] = linears
      const joined = namer.fresh(`${first?.output[0]}_qkv`)
      yield {
        what: `fuse the products of ${attention.name}`,
        remove: [attention, ...linears],
        add: [
          {
            ...makeNode({
              op: 'Linear',
              domain: DOMAIN,
              inputs: [first?.input[0] ?? '', ...linears.flatMap(({ input }) => [input[1] ?? '', input[2] ?? ''])],
              outputs: [joined],
              name: first?.name ?? '',
              attributes: { transposed: { int: first === undefined ? 0 : intOf(first, 'transposed', 0) } },
            }),
          },
          { ...attention, input: [joined, joined, joined, attention.input[3] ?? ''] },
        ],
      }
    }
  },
}

function threeLinears(view: GraphView, { input }: NodeProto): NodeProto[] | undefined {
  const linears = input.slice(0, 3).flatMap((value) => {
    const node = soleProducer(view, value)
    return isFused(node, 'Linear') && node.input.length === 3 ? [node] : []
  })
  const [first] = linears
  if (first === undefined || linears.length !== 3) return undefined
  const alike = linears.every(
    (node) => node.input[0] === first.input[0] && intOf(node, 'transposed', 0) === intOf(first, 'transposed', 0),
  )
  return alike ? linears : undefined
}
