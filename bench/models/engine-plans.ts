import { Image } from '../../src/compile/image.ts'
import { pageTables } from '../../src/compile/paged.ts'
import { writeArtifact } from '../../src/engine/verge/artifact.ts'
import type { Dim, Operand } from '../../src/engine/verge/plan.ts'
import { seededFloats } from '../../synthetic/onnx.ts'
import { encoderPlan, MINILM } from '../../synthetic/verge-encoder.ts'
import { columnsInt8, PlanWriter } from '../../synthetic/verge-plans.ts'

/** The encoder with its table of words stored for pages, all rows hot. */
export async function pagedEncoder(): Promise<Uint8Array> {
  const writer = encoderPlan(MINILM)
  const [plan, bytes] = [writer.plan(), writer.image()]
  const image = new Image()
  const places = plan.constants.map(({ dtype, layout, shape, offset, bytes: length }) =>
    image.add(dtype, layout, shape, bytes.subarray(offset, offset + length)),
  )
  const moved = (operand: Operand): Operand =>
    operand !== null && 'constant' in operand ? { constant: places[operand.constant] ?? -1 } : operand
  const steps = plan.steps.map((step) => ({ ...step, in: step.in.map(moved) }))
  const paged = await pageTables({ ...plan, constants: image.constants, steps }, image, ({ rows }) => ({
    order: Int32Array.from({ length: rows }, (_, id) => id),
    hot: rows,
    rowsPerPage: 64,
  }))
  const { bytes: artifact, image: target } = writeArtifact(paged.plan, paged.image.bytes)
  paged.image.writeTo(target)
  return artifact
}

/** Parts of an encoder of MiniLM's shape, each as often as the encoder has it, for the measure of Verge's own engine. */
export type EnginePart = 'products' | 'attention' | 'gelu' | 'norms'

/** Multiply-adds of all parts of one run with `rows` tokens that are products of 8 bits. */
export function productWork(rows: number): number {
  const { layers, width, inner } = MINILM
  return layers * rows * width * (4 * width + 2 * inner)
}

/** Multiply-adds of the attention of one run. */
export function attentionWork(rows: number): number {
  return MINILM.layers * 2 * rows * rows * MINILM.width
}

export function enginePart(part: EnginePart): PlanWriter {
  const { layers, width, heads, inner } = MINILM
  const writer = new PlanWriter()
  const n = writer.symbol('rows', 512)
  const x = writer.input('x', 'FP32', [1, n, part === 'attention' ? 3 * width : part === 'gelu' ? inner : width])
  let seed = 1
  const linear = (from: Operand, depth: number, columns: number): Operand => {
    const weight = columnsInt8(seededFloats(depth * columns, seed++), depth, columns)
    const operands = [
      from,
      writer.constant('i8', [depth, columns], weight.packed, 'columns-int8'),
      writer.constant('f32', [columns], weight.scales),
      writer.constant('i32', [columns], weight.sums),
      writer.constant('f32', [columns], new Float32Array(columns)),
    ]
    return writer.step('linear-int8', operands, 'f32', [1, n, columns])
  }
  const step = (
    from: readonly Operand[],
    op: string,
    columns: Dim,
    attributes: Record<string, number | string | number[]>,
  ) => writer.step(op, from, 'f32', [1, n, columns], attributes)
  const shares = { heads, headSize: width / heads, scale: 0.1, offsets: [0, width, 2 * width] }
  let y: Operand = x
  for (let layer = 0; layer < layers; layer++) {
    if (part === 'products') {
      linear(y, width, 3 * width)
      y = linear(linear(linear(y, width, width), width, inner), inner, width)
    } else if (part === 'attention') y = step([x, x, x], 'attention-int8', width, shares)
    else if (part === 'gelu') y = step([y], 'unary', inner, { kind: 'gelu' })
    else y = step([step([y, x], 'layer-norm', width, {}), x], 'layer-norm', width, {})
  }
  writer.output('y', 'FP32', [1, n, part === 'gelu' ? inner : width], y)
  return writer
}
