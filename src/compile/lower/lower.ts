import type { Plan, PlanTensor } from '../../engine/verge/plan.ts'
import { DataType } from '../../onnx/data.ts'
import { opsetOf } from '../../onnx/graph.ts'
import { intOf } from '../../onnx/make.ts'
import { sorted } from '../../onnx/pass.ts'
import type { ModelProto, NodeProto, TypeProto, ValueInfoProto } from '../../onnx/schema/onnx_pb.js'
import type { Image } from '../image.ts'
import { DOMAIN } from '../pattern.ts'
import { type Size, size, symbol, toDim } from '../size.ts'
import { BLOCK_LOOKUP } from './block-lookup.ts'
import { Builder, constantOf } from './builder.ts'
import { COMPOSED } from './composed.ts'
import { CONVOLUTION } from './convolution.ts'
import { ELEMENTWISE, FUSED_ELEMENTWISE } from './elementwise.ts'
import { INDEXING } from './indexing.ts'
import { FUSED_PRODUCTS, MATRIX } from './matrix.ts'
import { FUSED_NORM, NORM } from './norm.ts'
import { PADDING } from './padding.ts'
import { PICTURE } from './picture.ts'
import type { Rule, Rules } from './rule.ts'
import { SHAPING } from './shaping.ts'
import { SLICING } from './slicing.ts'
import { type Lowered, valueType } from './values.ts'
import { WINDOW } from './window.ts'

export interface LowerOptions {
  /** Largest size of a dimension that callers choose, by its name in the model. */
  readonly most: (name: string) => number
}

export interface LoweredModel {
  readonly plan: Plan
  readonly image: Image
}

const CONSTANTS: Rules = {
  DequantizeLinear: ({ node, at, maybe, build }) => {
    const [value, scale, zero] = [at(0), at(1), maybe(2)]
    if (value.kind !== 'constant' || scale.kind !== 'constant' || (zero !== undefined && zero.kind !== 'constant')) {
      throw build.decline('it makes floats of eight bits that are computed in a run')
    }
    const axis = intOf(node, 'axis', 1)
    return [
      {
        kind: 'quantized',
        tensor: value.tensor,
        scale: scale.tensor,
        zero: zero?.tensor,
        axis: axis < 0 ? axis + value.shape.length : axis,
        type: DataType.FLOAT,
        shape: value.shape,
      },
    ]
  },
}

const RULES: Rules = {
  ...SHAPING,
  ...SLICING,
  ...INDEXING,
  ...ELEMENTWISE,
  ...MATRIX,
  ...NORM,
  ...WINDOW,
  ...CONVOLUTION,
  ...PICTURE,
  ...PADDING,
  ...COMPOSED,
  ...CONSTANTS,
}
/** Of nodes that the compiler's passes make. */
const FUSED: Rules = { Gelu: ELEMENTWISE.Gelu as Rule, ...FUSED_PRODUCTS, ...FUSED_NORM, ...FUSED_ELEMENTWISE }
/** By domain. */
const RULES_OF: Readonly<Record<string, Rules>> = {
  '': RULES,
  'ai.onnx': RULES,
  'com.microsoft': BLOCK_LOOKUP,
  [DOMAIN]: FUSED,
}

/**
 * Turns a model into steps with a place in memory for each result, in one walk over its nodes. Shapes stay expressions
 * over the sizes that callers choose; what only computes shapes leaves no step.
 * @throws Declined for what the engine does not run
 */
export function lower(model: ModelProto, { most }: LowerOptions): LoweredModel {
  const build = new Builder()
  const graph = model.graph
  if (graph === undefined) throw build.decline('there is no graph')
  const constants = new Set(graph.initializer.map(({ name }) => name))
  for (const tensor of graph.initializer) build.set(tensor.name, constantOf(tensor))
  const inputs = graph.input.filter(({ name }) => !constants.has(name)).map((input) => lowerInput(build, input, most))
  for (const node of sorted(graph.node)) {
    build.enter(node)
    const rule = ruleOf(node)
    if (rule === undefined) throw build.decline('the engine has no such operator')
    const results = rule({
      node,
      opset: opsetOf(model, node.domain),
      build,
      at: (index) => build.value(node.input[index]),
      lazy: (index) => build.lazy(node.input[index]),
      maybe: (index) => build.optional(node.input[index]),
    })
    for (const [index, name] of node.output.entries()) {
      const result = results[index]
      if (result !== undefined && name !== '') build.set(name, result)
    }
  }
  const outputs = graph.output.map((output) => lowerOutput(build, output))
  return build.finish({ inputs, outputs })
}

function ruleOf({ domain, opType }: NodeProto): Rule | undefined {
  const rules = Object.hasOwn(RULES_OF, domain) ? RULES_OF[domain] : undefined
  return rules !== undefined && Object.hasOwn(rules, opType) ? rules[opType] : undefined
}

const NAMES: Readonly<Partial<Record<number, string>>> = {
  [DataType.FLOAT]: 'FP32',
  [DataType.FLOAT16]: 'FP16',
  [DataType.INT64]: 'INT64',
  [DataType.INT32]: 'INT32',
  [DataType.BOOL]: 'BOOL',
}

function tensorType(
  { name, type }: ValueInfoProto,
  build: Builder,
): Extract<TypeProto['value'], { case: 'tensorType' }>['value'] {
  if (type?.value.case !== 'tensorType') throw build.decline(`"${name}" is no tensor`)
  return type.value.value
}

function lowerInput(build: Builder, input: ValueInfoProto, most: (name: string) => number): PlanTensor {
  const { elemType, shape } = tensorType(input, build)
  const dtype = valueType(elemType)
  const datatype = NAMES[elemType]
  if (dtype === undefined || datatype === undefined)
    throw build.decline(`input "${input.name}" is of type ${DataType[elemType] ?? elemType}`)
  if (shape === undefined) throw build.decline(`input "${input.name}" has no declared rank`)
  const sizes = shape.dim.map(({ value }, axis): Size => {
    if (value.case === 'dimValue' && value.value > 0n) return size(Number(value.value))
    const name = value.case === 'dimParam' && value.value !== '' ? value.value : `${input.name}.${axis}`
    const known = build.symbols.findIndex((item) => item.name === name)
    if (known !== -1) return symbol(known)
    build.symbols.push({ name, max: most(name) })
    return symbol(build.symbols.length - 1)
  })
  const buffer = build.buffer(dtype, sizes)
  build.set(input.name, { kind: 'buffer', buffer, type: elemType, shape: sizes })
  return { name: input.name, datatype, shape: sizes.map(toDim), buffer }
}

function lowerOutput(build: Builder, output: ValueInfoProto): PlanTensor {
  build.enter({ opType: 'output', name: output.name } as NodeProto)
  const value = inBuffer(build, build.value(output.name))
  const datatype = NAMES[value.type]
  if (datatype === undefined) throw build.decline(`it is of type ${DataType[value.type] ?? value.type}`)
  return { name: output.name, datatype, shape: value.shape.map(toDim), buffer: value.buffer }
}

/** Outputs are buffers of their own; one that is a constant or an input is copied. */
function inBuffer(build: Builder, value: Lowered): Extract<Lowered, { kind: 'buffer' }> {
  if (value.kind === 'buffer') return value
  return build.step({ op: 'expand', in: [build.operand(value)], type: value.type, shape: value.shape })
}
