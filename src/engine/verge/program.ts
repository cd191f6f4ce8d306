import { VergeError } from '../../core/errors.ts'
import { planArena } from './arena.ts'
import { countOf, evaluate } from './dims.ts'
import type { KernelCall, Kernels } from './kernels.ts'
import { BEYOND } from './ops/guard.ts'
import { operatorNamed } from './ops/index.ts'
import {
  type Binding,
  type Bound,
  type BroughtRows,
  type Frame,
  type Operator,
  SIZE,
  type View,
} from './ops/operator.ts'
import type { Dim, Operand, Plan, PlanBuffer, PlanStep } from './plan.ts'

/** A tensor of a run: where it lies, and how large it is. */
export interface Place {
  readonly shape: readonly number[]
  readonly count: number
  /** In the arena. */
  readonly offset: number
}

/** A plan for inputs of certain sizes: every step checked and ready, every byte of its memory known. */
export interface Program {
  readonly arenaBytes: number
  readonly inputs: readonly Place[]
  readonly outputs: readonly Place[]
  readonly steps: readonly ProgramStep[]
}

export interface ProgramStep {
  readonly name: string
  readonly from: string | undefined
  readonly cost: number
  /** The kernels that it calls, in order, with memory at these addresses. They depend on no data. */
  record(frame: Frame): readonly KernelCall[]
  /** Puts rows that the run brings along where its kernels read them; of steps whose table is in pages. */
  bring?(rows: BroughtRows, memory: ArrayBufferLike, frame: Frame): void
  /** What its last call means where that says something else than -1, of steps that may refuse their data. */
  refusal?(said: number, kernels: Kernels, frame: Frame): VergeError
}

/** A buffer with its size, and its offset in the arena once that is planned. */
interface Slot {
  readonly dtype: PlanBuffer['dtype']
  readonly count: number
  readonly bytes: number
  offset: number
}

/**
 * Binds a plan to values of its symbols. Nothing is written, and no memory is taken.
 * @throws run_rejected where sizes do not fit together, or are beyond what the engine takes
 */
export function bindPlan(plan: Plan, symbols: readonly number[]): Program {
  const slots = plan.buffers.map((buffer): Slot => {
    const count = countOf(shapeOf(buffer.shape, symbols))
    if (count === undefined) throw rejected('a tensor of it would be larger than the engine takes')
    return { dtype: buffer.dtype, count, bytes: count * SIZE[buffer.dtype], offset: 0 }
  })
  const bound = plan.steps.map((step) => bindStep(plan, step, slots, symbols))
  const arenaBytes = placeSlots(plan, slots, bound)
  const place = ({ buffer, shape }: Plan['inputs'][number]): Place => {
    const sizes = shapeOf(shape, symbols)
    const slot = slots[buffer] as Slot
    if (countOf(sizes) !== slot.count) throw rejected('an input or output has another size than its buffer')
    return { shape: sizes, count: slot.count, offset: slot.offset }
  }
  return {
    arenaBytes,
    inputs: plan.inputs.map(place),
    outputs: plan.outputs.map(place),
    steps: bound.map(({ step, ready }) => ready(step)),
  }
}

interface BoundStep {
  readonly step: PlanStep
  readonly operator: Operator
  readonly bound: Bound
  readonly scratch: { offset: number }
  readonly ready: (step: PlanStep) => ProgramStep
}

function bindStep(plan: Plan, step: PlanStep, slots: readonly Slot[], symbols: readonly number[]): BoundStep {
  const operator = operatorNamed(step.op)
  if (operator === undefined) throw rejected(`there is no operator "${step.op}"`)
  const fail = (reason: string): VergeError => rejectedStep(step, reason)
  const inputs = step.in.map((operand) => viewOf(plan, operand, slots, symbols, fail))
  const outputs = step.out.map((buffer) => viewOf(plan, { buffer }, slots, symbols, fail))
  const bound = operator.bind(bindingOf(operator, step, { inputs, outputs, symbols, fail }))
  const scratch = { offset: 0 }
  const { guarded } = bound
  const ready = (): ProgramStep => ({
    name: step.op,
    from: step.from,
    cost: bound.cost,
    record(frame) {
      const calls: KernelCall[] = []
      const kernels = recorder(calls)
      bound.run?.(kernels, frame, frame.arena + scratch.offset)
      guarded?.run(kernels, frame)
      return calls
    },
    ...(bound.bring && {
      bring: (rows, memory, frame) => bound.bring?.(rows, memory, frame, frame.arena + scratch.offset),
    }),
    ...(guarded && {
      refusal(said, kernels, frame) {
        const { code, reason } = guarded.refusal(said, kernels, frame)
        return code === 'run_rejected' ? fail(reason) : tooLarge(`${reason} (operator ${nameOf(step)})`)
      },
    }),
  })
  return { step, operator, bound, scratch, ready }
}

/** Kernels that note their calls, and do nothing. */
function recorder(calls: KernelCall[]): Kernels {
  return new Proxy({} as Kernels, {
    get:
      (_, kernel) =>
      (...args: number[]) => {
        calls.push({ kernel: kernel as KernelCall['kernel'], args })
        return -1
      },
  })
}

/** The error of a step that refuses what it is given. */
export function rejectedStep(step: PlanStep, reason: string): VergeError {
  return rejected(`${reason} (operator ${nameOf(step)})`)
}

function nameOf({ op, from }: PlanStep): string {
  return from === undefined ? op : `${op}, from node ${from}`
}

function viewOf(
  plan: Plan,
  operand: Operand,
  slots: readonly Slot[],
  symbols: readonly number[],
  fail: (reason: string) => VergeError,
): View | undefined {
  if (operand === null) return undefined
  if ('constant' in operand) {
    const { dtype, layout, shape, offset } = plan.constants[operand.constant] as Plan['constants'][number]
    return { dtype, layout, shape, count: countOf(shape) ?? 0, at: (frame) => frame.image + offset }
  }
  const slot = slots[operand.buffer] as Slot
  const shape = shapeOf(operand.shape ?? (plan.buffers[operand.buffer] as PlanBuffer).shape, symbols)
  if (countOf(shape) !== slot.count) throw fail(`a tensor of ${slot.count} elements cannot be seen as [${shape}]`)
  return { dtype: slot.dtype, layout: 'rows', shape, count: slot.count, at: (frame) => frame.arena + slot.offset }
}

interface BindingParts {
  readonly inputs: readonly (View | undefined)[]
  readonly outputs: readonly (View | undefined)[]
  readonly symbols: readonly number[]
  readonly fail: (reason: string) => VergeError
}

function bindingOf(operator: Operator, step: PlanStep, { inputs, outputs, symbols, fail }: BindingParts): Binding {
  const rules = operator.attributes ?? {}
  const attribute = (name: string): unknown => {
    const rule = rules[name]
    return step.with?.[name] ?? (rule && 'otherwise' in rule ? rule.otherwise : undefined)
  }
  return {
    inputs,
    outputs,
    input(index) {
      const view = inputs[index]
      if (view === undefined) throw fail(`operand ${index} is missing`)
      return view
    },
    output(index = 0) {
      const view = outputs[index]
      if (view === undefined) throw fail(`result ${index} is missing`)
      return view
    },
    number: (name) => Number(attribute(name)),
    numbers: (name) => (attribute(name) as readonly Dim[]).map((dim) => evaluate(dim, symbols)),
    choice: (name) => String(attribute(name)),
    need(holds, reason) {
      if (!holds) throw fail(reason)
    },
    needHeld(...numbers) {
      const beyond = numbers.some((number) => !(number >= -(2 ** 31) && number < 2 ** 31))
      if (beyond) throw tooLarge(`${BEYOND} (operator ${nameOf(step)})`)
    },
  }
}

/** Gives every buffer its bytes from its first writing to its last reading, and every step its scratch. */
function placeSlots(plan: Plan, slots: readonly Slot[], steps: readonly BoundStep[]): number {
  const first = new Array<number>(slots.length).fill(-1)
  const last = new Array<number>(slots.length).fill(-1)
  for (const [at, { in: reads, out }] of plan.steps.entries()) {
    for (const read of reads) if (read !== null && 'buffer' in read) last[read.buffer] = at
    for (const buffer of out) {
      first[buffer] = at
      last[buffer] = at
    }
  }
  // Inputs are written before the first step, outputs are read after the last.
  const fixed = new Set([...plan.inputs, ...plan.outputs].map(({ buffer }) => buffer))
  for (const { buffer } of plan.outputs) last[buffer] = plan.steps.length
  const owner = slots.map((_, index) => index)
  for (const [at, { operator, step }] of steps.entries()) {
    const [out] = step.out
    if (out === undefined || step.out.length !== 1 || fixed.has(out)) continue
    for (const index of operator.inPlace ?? []) {
      const read = step.in[index]
      if (!read || !('buffer' in read) || fixed.has(read.buffer) || last[read.buffer] !== at) continue
      const [from, to] = [slots[read.buffer], slots[out]]
      if (!from || !to || from.bytes !== to.bytes || from.count !== to.count) continue
      // The result takes the bytes over, and with them the whole lifetime.
      const root = owner[read.buffer] ?? read.buffer
      owner[out] = root
      last[root] = Math.max(last[root] ?? 0, last[out] ?? 0)
      break
    }
  }
  const roots = slots.map((slot, index) => ({
    bytes: owner[index] === index ? slot.bytes : 0,
    from: first[index] ?? -1,
    to: last[index] ?? -1,
  }))
  const scratch = steps.map(({ bound }, at) => ({ bytes: bound.scratch ?? 0, from: at, to: at }))
  const { offsets, bytes } = planArena([...roots, ...scratch])
  for (const [index, slot] of slots.entries()) slot.offset = offsets[owner[index] ?? index] ?? 0
  for (const [index, { scratch }] of steps.entries()) scratch.offset = offsets[slots.length + index] ?? 0
  return bytes
}

function shapeOf(dims: readonly Dim[], symbols: readonly number[]): number[] {
  return dims.map((dim) => evaluate(dim, symbols))
}

function rejected(reason: string): VergeError {
  return new VergeError('run_rejected', `The model could not run on these inputs: ${reason}`)
}

function tooLarge(reason: string): VergeError {
  const { message } = rejected(reason)
  return new VergeError(
    'integer_too_large',
    `${message}. Send smaller numbers, or serve the model with --engines onnxruntime.`,
  )
}
