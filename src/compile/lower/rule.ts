import type { NodeProto } from '../../onnx/schema/onnx_pb.js'
import type { Builder } from './builder.ts'
import type { Lowered, Value } from './values.ts'

export interface RuleContext {
  readonly node: NodeProto
  /** Version of the node's operator set. */
  readonly opset: number
  readonly build: Builder
  /** The value of an input. @throws Declined where it is left out */
  at(index: number): Lowered
  /** The same, where its elements need no place. */
  lazy(index: number): Value
  /** The value of an input that may be left out. */
  maybe(index: number): Lowered | undefined
}

/** What a node's outputs become, in order. @throws Declined with the reason */
export type Rule = (context: RuleContext) => readonly Value[]
export type Rules = Readonly<Record<string, Rule>>
