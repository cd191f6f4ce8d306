import type { NodeProto } from '../onnx/schema/onnx_pb.js'

/** A graph that the engine does not run, with the operator that it lacks. */
export class Declined extends Error {
  override readonly name = 'Declined'
  readonly operator: string
  readonly node: string

  constructor(node: Pick<NodeProto, 'opType' | 'name'>, reason: string) {
    super(reason)
    this.operator = node.opType
    this.node = node.name
  }
}

export function isDeclined(error: unknown): error is Declined {
  return error instanceof Declined
}
