import type { Operand, PlanSymbol, ValueType } from '../../engine/verge/plan.ts'
import { DataType, integersOf } from '../../onnx/data.ts'
import { boundsOf, either, HELD, held, isHeld, type Range, rangeOf, TRUTHS, UNKNOWN } from '../range.ts'
import type { Size } from '../size.ts'
import { type Lowered, valueType } from './values.ts'

/** What a step says of the whole numbers that it gives. */
export interface WholeResult {
  /** What it computes; if left out what it reads, where it only moves that, or anything that the engine holds. */
  readonly range?: Range
  /** Whether it may refuse its data, whatever its range. */
  readonly checked?: boolean
  /** Whether INT32 that leaves its range is taken as it is, as ONNX Runtime takes it. */
  readonly wraps?: boolean
}

/** Of steps that give what they read, elsewhere: the operands that they read it from. */
const MOVED: Readonly<Record<string, (operands: readonly Operand[]) => readonly Operand[]>> = {
  ...Object.fromEntries(
    ['transpose', 'slice', 'expand', 'gather', 'gather-elements'].map((op) => [op, (all) => all.slice(0, 1)]),
  ),
  concat: (all) => all,
  where: (all) => all.slice(1),
}

/** What is known of the whole numbers of a plan while it is made. */
export class Ranges {
  readonly #buffers: Range[] = []
  readonly #constants = new Map<number, Range>()
  /** Sizes of axes, which are not negative. */
  readonly #axes = new Set<string>()
  readonly #symbols: readonly PlanSymbol[]

  constructor(symbols: readonly PlanSymbol[]) {
    this.#symbols = symbols
  }

  /** Notes the next buffer of the plan. */
  addBuffer(dtype: ValueType, shape: readonly Size[], range: Range): void {
    this.#buffers.push(dtype === 'u8' ? TRUTHS : range)
    for (const { key } of shape) this.#axes.add(key)
  }

  addConstant(constant: number, range: Range): void {
    this.#constants.set(constant, range)
  }

  of(value: Lowered): Range {
    switch (value.kind) {
      case 'buffer':
        return valueType(value.type) === 'f32' ? UNKNOWN : (this.#buffers[value.buffer] ?? HELD)
      case 'sizes':
        // What is beyond 32 bits is declined, or refused in the run.
        return held(either(...value.values.map((each) => this.ofSize(each))))
      case 'constant':
        return valueType(value.type) === 'f32' ? UNKNOWN : held(rangeOf(integersOf(value.tensor)))
      case 'quantized':
        return UNKNOWN
    }
  }

  /** What a size lies between, in runs in which no axis is negative: others are refused. */
  ofSize(size: Size): Range {
    const { least, most } = boundsOf(size, (symbol) => this.#symbols[symbol]?.max ?? Number.POSITIVE_INFINITY)
    return { least: this.#axes.has(size.key) ? Math.max(0, least) : least, most }
  }

  /** What a step leaves in its buffer, and whether it has to be checked in the run for that. */
  ofStep(
    { op, in: operands, type }: { readonly op: string; readonly in: readonly Operand[]; readonly type: DataType },
    whole: WholeResult,
  ): { readonly range: Range; readonly isChecked: boolean } {
    if (valueType(type) !== 'i32') return { range: HELD, isChecked: false }
    const moved = MOVED[op]?.(operands).map((operand) => this.#read(operand)) ?? [HELD]
    const { range = either(...moved), checked = false, wraps = false } = whole
    if (isHeld(range)) return { range, isChecked: checked }
    return wraps && type === DataType.INT32
      ? { range: HELD, isChecked: checked }
      : { range: held(range), isChecked: true }
  }

  #read(operand: Operand): Range {
    if (operand === null) return HELD
    return ('buffer' in operand ? this.#buffers[operand.buffer] : this.#constants.get(operand.constant)) ?? HELD
  }
}
