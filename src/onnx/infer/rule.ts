import type { GraphProto, NodeProto } from '../schema/onnx_pb.js'
import { UNKNOWN, type ValueType } from './types.ts'

/** What a rule knows of the node whose outputs it describes. */
export interface RuleContext {
  readonly node: NodeProto
  /** Version of the operator set that the node belongs to. */
  readonly opset: number
  /** Types of the inputs, `UNKNOWN` for one that is left out. Read them with `at`. */
  readonly inputs: readonly ValueType[]
  /** Types of a subgraph's outputs, given those of its inputs. */
  inferGraph(graph: GraphProto, inputs: readonly ValueType[]): readonly ValueType[]
}

/** Types of a node's outputs, in order; those that are missing at the end are unknown. */
export type Rule = (context: RuleContext) => readonly ValueType[]

export type Rules = Readonly<Record<string, Rule>>

export function at(context: RuleContext, index: number): ValueType {
  return context.inputs[index] ?? UNKNOWN
}

export function hasInput({ node }: RuleContext, index: number): boolean {
  return (node.input[index] ?? '') !== ''
}

/** The same rule for several operators. */
export function each(names: string, rule: Rule): Rules {
  return Object.fromEntries(names.split(' ').map((name) => [name, rule]))
}
