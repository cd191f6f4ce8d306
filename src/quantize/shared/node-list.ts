import { type AttributeValue, makeNode } from '../../onnx/make.ts'
import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import { nameOf } from './weights.ts'

/** Adds a node with one output. @param result the output's name; a fresh one if left out @returns the output's name */
export type AddNode = (
  op: string,
  part: string,
  inputs: readonly string[],
  attributes?: Readonly<Record<string, AttributeValue>>,
  result?: string,
) => string

/** A list of the nodes that replace one node, with names made from that node's. */
export function nodeList(
  replaced: NodeProto,
  fresh: (base: string) => string,
): { readonly nodes: NodeProto[]; readonly add: AddNode } {
  const nodes: NodeProto[] = []
  const add: AddNode = (op, part, inputs, attributes = {}, result = fresh(`${replaced.output[0]}_${part}`)) => {
    nodes.push(makeNode({ op, inputs, outputs: [result], name: fresh(`${nameOf(replaced)}_${part}`), attributes }))
    return result
  }
  return { nodes, add }
}
