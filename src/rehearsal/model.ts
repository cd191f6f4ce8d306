import type { Attribute, ConstantType, Dim, Layout, Operand, Plan, ValueType } from '../engine/verge/plan.ts'

/** Channels of the texts' part: two heads of 16. */
const WIDTH = 32
const WORDS = 16
/** Height and width of the picture. */
const SIDE = 8
const CHANNELS = 8

/**
 * A model of a few kilobytes with what encoders, small classifiers of texts and networks for pictures do, each once. All its
 * weights are 0: it is run for the code that runs, not for what comes of it.
 */
export function rehearsalPlan(): { readonly plan: Plan; readonly imageBytes: number } {
  const model = new Model()
  const n = model.symbol('tokens', WORDS)
  const ids = model.input('input_ids', 'INT64', [1, n])
  const mask = model.input('attention_mask', 'INT64', [1, n])
  const image = model.input('image', 'FP32', [1, 1, SIDE, SIDE])
  model.output('encoded', encoder(model, n, ids, mask))
  model.output('classified', classifier(model, n, ids, mask))
  model.output('seen', network(model, image))
  return { plan: model.plan(), imageBytes: model.imageBytes }
}

function encoder(model: Model, n: Dim, ids: Operand, mask: Operand): Operand {
  const { floats } = model
  const x = [1, n, WIDTH]
  const words = model.step('gather-rows', [model.table(), ids, floats(WIDTH)], x, { scaled: 'columns' })
  const placed = model.step('binary', [words, floats(WIDTH)], x, { kind: 'add' })
  const normed = model.step('layer-norm', [placed, null, floats(WIDTH), floats(WIDTH)], x)
  const kept = model.step('cast', [mask], [1, n])
  const hidden = model.step('binary', [floats(1), kept], [1, n], { kind: 'sub' })
  const scores = model.step('binary', [hidden, floats(1)], [1, n], { kind: 'mul' })
  const qkv = model.linear(normed, [1, n], WIDTH, 3 * WIDTH)
  const attended = model.step('attention', [qkv, qkv, qkv, seenAs(scores, [1, 1, 1, n])], x, {
    heads: 2,
    headSize: WIDTH / 2,
    scale: 0.25,
    offsets: [0, WIDTH, 2 * WIDTH],
  })
  const joined = model.linear(attended, [1, n], WIDTH, WIDTH)
  const skipped = model.step('layer-norm', [joined, normed, floats(WIDTH), floats(WIDTH)], x)
  return model.linear(model.linear(skipped, [1, n], WIDTH, WIDTH, 'gelu'), [1, n], WIDTH, WIDTH)
}

/** Hashes its words, as `reviews` does, and takes the mean of their rows. */
function classifier(model: Model, n: Dim, ids: Operand, mask: Operand): Operand {
  const { floats } = model
  const twice: Dim = ['*', n, 2]
  const cut = model.step('slice', [ids], [1, n], { starts: [0, 0] }, 'i32')
  const pairs = model.step('concat', [cut, ids], [1, twice], { axis: 1 }, 'i32')
  // The mask is 1 everywhere, and so nothing is divided by 0.
  const ones = model.step('concat', [mask, mask], [1, twice], { axis: 1 }, 'i32')
  const hashed = ['mul', 'mod', 'div', 'add', 'mod'].reduce<Operand>(
    (hash, kind) => model.step('binary', [hash, ones], [1, twice], { kind }, 'i32'),
    pairs,
  )
  const rows = model.step('gather-rows', [model.table(), hashed, floats(WIDTH)], [1, twice, WIDTH], {
    scaled: 'columns',
  })
  const sum = model.step('reduce', [rows], [1, WIDTH], { kind: 'sum', axes: [1] })
  const count = model.step('reduce', [model.step('cast', [mask], [1, n])], [1, 1], { kind: 'sum', axes: [1] })
  const mean = model.step('binary', [sum, count], [1, WIDTH], { kind: 'div' })
  const turned = model.step('transpose', [mean], [WIDTH, 1], { perm: [1, 0] })
  const most = model.step('reduce', [turned], [1, 1], { kind: 'max', axes: [0] })
  const scale = model.step('unary', [most], [1, 1], { kind: 'sqrt' })
  const scaled = model.step('binary', [mean, scale], [1, WIDTH], { kind: 'mul' })
  const weight = model.constant('f32', [WIDTH, 2], 'columns-f32')
  return model.step('softmax', [model.step('linear-f32', [scaled, weight, floats(2)], [1, 2])], [1, 2])
}

function network(model: Model, image: Operand): Operand {
  const { floats } = model
  const same = { kernel: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1], activation: 'clip', min: 0, max: 6 }
  const full = [1, CHANNELS, SIDE, SIDE]
  const half = [1, CHANNELS, SIDE / 2, SIDE / 2]
  const clipped = model.step('unary', [image], [1, 1, SIDE, SIDE], { kind: 'clip', min: 0, max: 1 })
  // One convolution as statically quantized networks have it, on a grid of 256 values, and one that quantizes for itself.
  const stepped = model.step('grid', [clipped], [1, 1, SIDE, SIDE], { step: 1 / 255, min: 0, max: 1 })
  const onGrid = { ...same, step: 6 / 255, grid: 1 / 255, zero: 0 }
  const first = model.step('conv-int8', [stepped, ...model.bytes(9, CHANNELS)], full, onGrid)
  const second = model.step('conv-int8', [first, ...model.bytes(9 * CHANNELS, CHANNELS)], full, same)
  const pool = { kernel: [2, 2], strides: [2, 2] }
  const small = model.step('pool', [second], half, { ...pool, kind: 'max' })
  const weight = model.constant('f32', [CHANNELS, CHANNELS], 'columns-f32')
  const mixed = model.step('conv-f32', [small, weight, floats(CHANNELS)], half, { kernel: [1, 1], activation: 'relu' })
  const filters = model.constant('f32', [CHANNELS, 1, 3, 3])
  const deep = model.step('conv-depthwise', [mixed, filters, floats(CHANNELS)], half, { ...same, groups: CHANNELS })
  const mean = model.step('reduce', [deep], [1, CHANNELS], { kind: 'mean', axes: [2, 3] })
  const rounded = model.step('grid', [mean], [1, CHANNELS], { step: 6 / 255, min: 0, max: 6 })
  const weights = model.bytes(CHANNELS, CHANNELS)
  return model.step('linear-grid', [rounded, ...weights], [1, CHANNELS], { grid: 6 / 255, zero: 0 })
}

/** The same elements in another shape. */
function seenAs(operand: Operand, shape: readonly Dim[]): Operand {
  return operand === null || 'constant' in operand ? operand : { ...operand, shape }
}

const TYPES: Readonly<Record<string, ValueType>> = { FP32: 'f32', INT64: 'i32' }
const SIZES: Readonly<Record<string, number>> = { f32: 4, i32: 4, i8: 1 }
const ALIGNMENT = 64

/** Collects a plan. */
class Model {
  imageBytes = 0
  readonly #symbols: { readonly name: string; readonly max: number }[] = []
  readonly #inputs: Plan['inputs'][number][] = []
  readonly #outputs: Plan['outputs'][number][] = []
  readonly #buffers: Plan['buffers'][number][] = []
  readonly #constants: Plan['constants'][number][] = []
  readonly #steps: Plan['steps'][number][] = []

  symbol(name: string, max: number): Dim {
    return ['s', this.#symbols.push({ name, max }) - 1]
  }

  input(name: string, datatype: 'FP32' | 'INT64', shape: readonly Dim[]): Operand {
    const buffer = this.#buffers.push({ dtype: TYPES[datatype] ?? 'f32', shape }) - 1
    this.#inputs.push({ name, datatype, shape, buffer })
    return { buffer }
  }

  output(name: string, operand: Operand): void {
    const buffer = operand !== null && 'buffer' in operand ? operand.buffer : 0
    this.#outputs.push({ name, datatype: 'FP32', shape: this.#buffers[buffer]?.shape ?? [], buffer })
  }

  step(
    op: string,
    reads: readonly Operand[],
    shape: readonly Dim[],
    attributes: Readonly<Record<string, Attribute>> = {},
    dtype: ValueType = 'f32',
  ): Operand {
    const buffer = this.#buffers.push({ dtype, shape }) - 1
    this.#steps.push({ op, in: reads, out: [buffer], with: attributes })
    return { buffer }
  }

  constant(dtype: ConstantType, shape: readonly number[], layout: Layout = 'rows'): Operand {
    const [depth = 1, columns = 1] = shape
    const count =
      layout === 'rows'
        ? shape.reduce((product, size) => product * size, 1)
        : Math.ceil(columns / 8) * 8 * (layout === 'columns-int8' ? Math.ceil(depth / 4) * 4 : depth)
    const bytes = count * (SIZES[dtype] ?? 1)
    const offset = this.imageBytes
    this.imageBytes += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
    return { constant: this.#constants.push({ dtype, layout, shape, offset, bytes }) - 1 }
  }

  readonly floats = (count: number): Operand => this.constant('f32', [count])

  table(): Operand {
    return this.constant('i8', [WORDS, WIDTH])
  }

  /** Weight, scales, sums and bias of a product of 8 bits. */
  bytes(depth: number, columns: number): Operand[] {
    return [
      this.constant('i8', [depth, columns], 'columns-int8'),
      this.floats(columns),
      this.constant('i32', [columns]),
      this.floats(columns),
    ]
  }

  linear(x: Operand, rows: readonly Dim[], depth: number, columns: number, activation = 'none'): Operand {
    return this.step('linear-int8', [x, ...this.bytes(depth, columns)], [...rows, columns], { activation })
  }

  plan(): Plan {
    return {
      format: 1,
      symbols: this.#symbols,
      inputs: this.#inputs,
      outputs: this.#outputs,
      buffers: this.#buffers,
      constants: this.#constants,
      steps: this.#steps,
    }
  }
}
