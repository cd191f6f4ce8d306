import { DATATYPES, type Datatype } from '../../core/tensors.ts'
import { countOf, isBare, isDim } from './dims.ts'
import { invalid } from './invalid.ts'
import { operatorNamed } from './ops/index.ts'
import { type AttributeRule, type OperandRule, type Operator, roundUp, rowsBytes, SIZE } from './ops/operator.ts'
import type {
  ConstantType,
  Dim,
  Layout,
  Operand,
  Plan,
  PlanBuffer,
  PlanConstant,
  PlanStep,
  PlanSymbol,
  PlanTensor,
  ValueType,
} from './plan.ts'
import { PLAN_FORMAT } from './plan.ts'

/** Above what any model that fits into an isolate has. */
const MOST = {
  symbols: 32,
  tensors: 64,
  buffers: 8_192,
  constants: 8_192,
  steps: 8_192,
  rank: 8,
  operands: 256,
} as const
const MOST_NAME = 512
const ALIGNMENT = 16

/** What the engine's callers may send and get, and the type that holds it. */
const VALUE_TYPES: Readonly<Partial<Record<Datatype, ValueType>>> = {
  FP32: 'f32',
  FP16: 'f32',
  INT64: 'i32',
  INT32: 'i32',
  INT16: 'i32',
  INT8: 'i32',
  UINT16: 'i32',
  UINT8: 'i32',
  BOOL: 'u8',
}

/**
 * Checks a plan against everything that does not depend on the sizes of the inputs: structure, references, places of
 * constants, types, layouts and attributes of every step, and that nothing is read before it was written. What depends on
 * sizes is checked when a run's steps are bound, and tables in pages by `pagedLookups`.
 * @throws model_invalid
 */
export function checkPlan(value: unknown, imageBytes: number): Plan {
  const plan = record(value, 'its plan')
  if (plan.format !== PLAN_FORMAT)
    throw invalid(`its plan has format ${String(plan.format)}, and this engine reads ${PLAN_FORMAT}`)
  const symbols = list(plan.symbols, MOST.symbols, 'symbols').map(symbol)
  const buffers = list(plan.buffers, MOST.buffers, 'buffers').map((item) => buffer(item, symbols.length))
  const constants = list(plan.constants, MOST.constants, 'constants').map((item) => constant(item, imageBytes))
  const inputs = list(plan.inputs, MOST.tensors, 'inputs').map((item) => tensor(item, symbols.length, buffers))
  const outputs = list(plan.outputs, MOST.tensors, 'outputs').map((item) => tensor(item, symbols.length, buffers))
  const steps = list(plan.steps, MOST.steps, 'steps').map((item) => step(item, symbols.length, { buffers, constants }))
  const checked: Plan = { format: PLAN_FORMAT, symbols, inputs, outputs, buffers, constants, steps }
  checkNames(checked)
  checkSymbols(checked)
  checkOrder(checked)
  return checked
}

type Fields = Readonly<Record<string, unknown>>

function record(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${what} is no object`)
  return value as Fields
}

function list(value: unknown, most: number, what: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length > most) throw invalid(`its plan has no list of at most ${most} ${what}`)
  return value
}

function text(value: unknown, what: string): string {
  if (typeof value !== 'string' || value.length > MOST_NAME)
    throw invalid(`${what} is no text of at most ${MOST_NAME} characters`)
  return value
}

function natural(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw invalid(`${what} is no whole number`)
  return value
}

function index(value: unknown, length: number, what: string): number {
  const at = natural(value, what)
  if (at >= length) throw invalid(`${what} is ${at}, and there are ${length}`)
  return at
}

function oneOf<T extends string>(value: unknown, of: readonly T[], what: string): T {
  const found = of.find((item) => item === value)
  if (found === undefined) throw invalid(`${what} is not one of ${of.join(', ')}`)
  return found
}

function symbol(value: unknown): PlanSymbol {
  const { name, max } = record(value, 'a symbol')
  return { name: text(name, 'the name of a symbol'), max: natural(max, 'the largest value of a symbol') }
}

function dims(value: unknown, symbols: number): readonly Dim[] {
  const shape = list(value, MOST.rank, 'axes')
  return shape.map((dim) => {
    if (!isDim(dim, symbols)) throw invalid('a size is no expression over the symbols of the plan')
    return dim
  })
}

function buffer(value: unknown, symbols: number): PlanBuffer {
  const { dtype, shape } = record(value, 'a buffer')
  return { dtype: oneOf(dtype, ['f32', 'i32', 'u8'], 'the type of a buffer'), shape: dims(shape, symbols) }
}

const LAYOUT_TYPES: Readonly<Record<Layout, readonly ConstantType[]>> = {
  rows: ['f32', 'f16', 'i8', 'i32', 'u8', 'u4'],
  'columns-int8': ['i8'],
  'columns-f32': ['f32'],
  'columns-f16': ['f16'],
}
const LAYOUTS = Object.keys(LAYOUT_TYPES) as Layout[]

function constant(value: unknown, imageBytes: number): PlanConstant {
  const fields = record(value, 'a constant')
  const layout = oneOf(fields.layout, LAYOUTS, 'the layout of a constant')
  const dtype = oneOf(fields.dtype, LAYOUT_TYPES[layout], 'the type of a constant')
  const shape = list(fields.shape, MOST.rank, 'axes').map((size) => natural(size, 'the size of a constant'))
  const offset = natural(fields.offset, 'the place of a constant')
  const bytes = natural(fields.bytes, 'the length of a constant')
  if (bytes !== constantBytes(dtype, layout, shape)) throw invalid('a constant has another length than its shape')
  if (offset % ALIGNMENT !== 0 || offset + bytes > imageBytes) throw invalid('a constant lies outside of the image')
  return { dtype, layout, shape, offset, bytes }
}

/** Bytes of a constant, or undefined where its shape is none that the layout takes. */
function constantBytes(dtype: ConstantType, layout: Layout, shape: readonly number[]): number | undefined {
  if (countOf(shape) === undefined) return undefined
  if (layout === 'rows') return rowsBytes(dtype, shape)
  const [depth, columns] = shape
  if (depth === undefined || columns === undefined || shape.length !== 2) return undefined
  return roundUp(columns, 8) * (layout === 'columns-int8' ? roundUp(depth, 4) : depth) * SIZE[dtype]
}

function tensor(value: unknown, symbols: number, buffers: readonly PlanBuffer[]): PlanTensor {
  const fields = record(value, 'an input or output')
  const name = text(fields.name, 'the name of an input or output')
  const datatype = oneOf(fields.datatype, DATATYPES, `the datatype of "${name}"`)
  const at = index(fields.buffer, buffers.length, `the buffer of "${name}"`)
  if (VALUE_TYPES[datatype] === undefined || VALUE_TYPES[datatype] !== buffers[at]?.dtype) {
    throw invalid(`"${name}" has datatype ${datatype}, which its buffer does not hold`)
  }
  return { name, datatype, shape: dims(fields.shape, symbols), buffer: at }
}

interface Operands {
  readonly buffers: readonly PlanBuffer[]
  readonly constants: readonly PlanConstant[]
}

function step(value: unknown, symbols: number, operands: Operands): PlanStep {
  const fields = record(value, 'a step')
  const op = text(fields.op, 'the operator of a step')
  const operator = operatorNamed(op)
  if (operator === undefined) throw invalid(`this version of the engine has no operator "${op}"`)
  const reads = list(fields.in, MOST.operands, 'operands').map((item) => operand(item, symbols, operands))
  const writes = list(fields.out, operator.outputs.length, 'results').map((item) =>
    index(item, operands.buffers.length, `a result of ${op}`),
  )
  checkOperands(operator, reads, operands)
  if (new Set(writes).size !== writes.length) throw invalid(`${op} writes one result twice`)
  for (const [place, rule] of operator.outputs.entries()) {
    const target = writes[place]
    if (target === undefined && rule.optional) continue
    const type = target === undefined ? undefined : operands.buffers[target]?.dtype
    if (type === undefined || !rule.types.includes(type)) throw invalid(`${op} has no result of a type that it gives`)
  }
  return {
    op,
    in: reads,
    out: writes,
    with: attributes(operator, fields.with, symbols),
    ...(fields.from !== undefined && { from: text(fields.from, 'the node of a step') }),
  }
}

function operand(value: unknown, symbols: number, { buffers, constants }: Operands): Operand {
  if (value === null) return null
  const fields = record(value, 'an operand')
  if (fields.constant !== undefined) return { constant: index(fields.constant, constants.length, 'a constant') }
  const buffer = index(fields.buffer, buffers.length, 'a buffer')
  return fields.shape === undefined ? { buffer } : { buffer, shape: dims(fields.shape, symbols) }
}

function checkOperands({ name, inputs, variadic }: Operator, reads: readonly Operand[], operands: Operands): void {
  if (!variadic && reads.length > inputs.length)
    throw invalid(`${name} has ${reads.length} operands, and takes ${inputs.length}`)
  const count = variadic ? Math.max(1, reads.length) : inputs.length
  for (let place = 0; place < count; place++) {
    const rule = inputs[Math.min(place, inputs.length - 1)] as OperandRule
    const read = reads[place] ?? null
    if (read === null) {
      if (!rule.optional) throw invalid(`${name} has no operand "${rule.name}"`)
      continue
    }
    const isConstant = 'constant' in read
    const held = isConstant ? operands.constants[read.constant] : operands.buffers[read.buffer]
    const layout = held && 'layout' in held ? held.layout : 'rows'
    const fits = held && rule.types.includes(held.dtype) && (rule.layouts ?? ['rows']).includes(layout)
    if (!fits || (rule.constant && !isConstant))
      throw invalid(`operand "${rule.name}" of ${name} is of another type than it takes`)
  }
}

function attributes(
  { name, attributes = {} }: Operator,
  value: unknown,
  symbols: number,
): NonNullable<PlanStep['with']> {
  const given = value === undefined ? {} : record(value, `what ${name} is given`)
  const known: Record<string, NonNullable<PlanStep['with']>[string]> = {}
  for (const [key, rule] of Object.entries(attributes)) {
    const attribute = given[key]
    if (attribute === undefined && rule.type !== 'dims' && rule.otherwise !== undefined) continue
    known[key] = checkedAttribute(attribute, rule, symbols, `"${key}" of ${name}`)
  }
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(attributes, key)) throw invalid(`${name} does not take "${key}"`)
  }
  return known
}

function checkedAttribute(value: unknown, rule: AttributeRule, symbols: number, what: string) {
  switch (rule.type) {
    case 'number':
      if (typeof value !== 'number') throw invalid(`${what} is no number`)
      return value
    case 'choice':
      return oneOf(value, rule.of, what)
    case 'numbers':
      return list(value, MOST.operands, `numbers in ${what}`).map((item) => {
        if (typeof item !== 'number') throw invalid(`${what} is no list of numbers`)
        return item
      })
    case 'dims':
      return list(value, MOST.operands, `sizes in ${what}`).map((item) => {
        if (!isDim(item, symbols)) throw invalid(`${what} is no list of sizes`)
        return item
      })
  }
}

function checkNames({ inputs, outputs }: Plan): void {
  for (const tensors of [inputs, outputs]) {
    if (new Set(tensors.map(({ name }) => name)).size !== tensors.length)
      throw invalid('two of its tensors have one name')
  }
  if (outputs.length === 0) throw invalid('it has no outputs')
}

/** Every symbol is an axis of an input, where it gets its value. */
function checkSymbols({ symbols, inputs }: Plan): void {
  const bound = new Set(inputs.flatMap(({ shape }) => shape.map((dim) => (isBare(dim) ? dim[1] : -1))))
  const free = symbols.find((_, place) => !bound.has(place))
  if (free !== undefined) throw invalid(`no input has an axis that says how large "${free.name}" is`)
}

/** Each buffer is written once, before it is read. */
function checkOrder({ inputs, outputs, steps }: Plan): void {
  const written = new Set<number>()
  const write = (at: number): void => {
    if (written.has(at)) throw invalid('a buffer is written twice')
    written.add(at)
  }
  const read = (at: number): void => {
    if (!written.has(at)) throw invalid('a buffer is read before it is written')
  }
  for (const { buffer } of inputs) write(buffer)
  for (const { in: reads, out } of steps) {
    for (const item of reads) if (item !== null && 'buffer' in item) read(item.buffer)
    for (const at of out) write(at)
  }
  for (const { buffer } of outputs) read(buffer)
}
