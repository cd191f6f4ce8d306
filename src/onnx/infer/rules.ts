import type { NodeProto } from '../schema/onnx_pb.js'
import { control } from './control.ts'
import { elementwise } from './elementwise.ts'
import { generated } from './generated.ts'
import { indexing } from './indexing.ts'
import { fusedMatrix, matrix } from './matrix.ts'
import { contributed, quantized } from './quantized.ts'
import type { Rule } from './rule.ts'
import { shaping } from './shaping.ts'
import { slicing } from './slicing.ts'
import { tabular } from './tabular.ts'
import { windows } from './window.ts'

const table = (...families: readonly Readonly<Record<string, Rule>>[]): ReadonlyMap<string, Rule> =>
  new Map(families.flatMap((family) => Object.entries(family)))

const STANDARD = table(elementwise, shaping, slicing, indexing, matrix, windows, generated, quantized, control)

/** Rules by operator set and operator. */
const RULES: ReadonlyMap<string, ReadonlyMap<string, Rule>> = new Map([
  ['', STANDARD],
  ['ai.onnx', STANDARD],
  ['ai.onnx.ml', table(tabular)],
  ['com.microsoft', table(fusedMatrix, contributed)],
])

export function ruleOf({ domain, opType }: NodeProto): Rule | undefined {
  return RULES.get(domain)?.get(opType)
}
