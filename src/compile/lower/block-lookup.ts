import { DataType, floatsOf, rawBytesOf } from '../../onnx/data.ts'
import { intOf } from '../../onnx/make.ts'
import { numberOf, type Size, size } from '../size.ts'
import { axisOf } from './builder.ts'
import { narrow, repeated } from './lazy.ts'
import type { Rule, RuleContext, Rules } from './rule.ts'
import type { Constant } from './values.ts'

/**
 * `GatherBlockQuantized`, an operator of ONNX Runtime's own, as `verge quantize` writes it: rows of a constant matrix in
 * four bits, two a byte, with a scale for each block along a row. Where scales are half floats ONNX Runtime rounds rows to
 * half floats too, and the engine does not.
 */
const gatherBlocks: Rule = ({ node, at, lazy, maybe, build }) => {
  const [table, scales, zeros] = [constant(at(0)), constant(at(2)), maybe(3)]
  const [rows, bytes] = (table?.shape ?? []).map(numberOf)
  if (table?.type !== DataType.UINT8 || table.shape.length !== 2 || rows === undefined || bytes === undefined)
    throw build.decline('its table is no constant matrix of bytes')
  const rank = table.shape.length
  if (intOf(node, 'bits', 4) !== 4) throw build.decline('its table is not in 4 bits')
  if (axisOf(intOf(node, 'gather_axis', 0), rank) !== 0 || axisOf(intOf(node, 'quantize_axis', 1), rank) !== 1)
    throw build.decline('its table is not read and quantized by row')
  const block = intOf(node, 'block_size', 128)
  const [width, blocks] = [bytes * 2, Math.ceil((bytes * 2) / block)]
  const hasScales = scales?.type === DataType.FLOAT || scales?.type === DataType.FLOAT16
  if (!hasScales || !isShaped(scales, rows, blocks)) throw build.decline('its scales are no constants of its blocks')
  const points = zeros && constant(zeros)
  if (zeros !== undefined && (points?.type !== DataType.UINT8 || !isShaped(points, rows, Math.ceil(blocks / 2))))
    throw build.decline('its zero points are no constants of its blocks')
  const index = lazy(1)
  const indices = narrow(build, index)
  const shapeFor = (shape: readonly Size[]): Size[] => [...shape, size(width)]
  const found = build.step({
    op: 'gather-rows',
    in: [
      { constant: build.image.add('u4', 'rows', [rows, width], rawBytesOf(table.tensor)) },
      build.operand(indices),
      { constant: factors(build, scales, [rows, blocks]) },
      points === undefined
        ? null
        : { constant: build.image.add('u4', 'rows', [rows, blocks], rawBytesOf(points.tensor)) },
    ],
    type: scales.type,
    shape: shapeFor(indices.shape),
    with: { block },
  })
  return [repeated(build, found, shapeFor(index.shape))]
}

/** Scales keep their precision: half floats are exact, and half as many bytes. */
function factors(build: RuleContext['build'], { tensor, type }: Constant, shape: readonly number[]): number {
  const floats = floatsOf(tensor)
  if (type === DataType.FLOAT) return build.image.add('f32', 'rows', shape, floats)
  return build.image.add('f16', 'rows', shape, Float16Array.from(floats))
}

function constant(value: ReturnType<RuleContext['at']>): Constant | undefined {
  return value.kind === 'constant' ? value : undefined
}

function isShaped({ shape }: Constant, rows: number, columns: number): boolean {
  return shape.length === 2 && numberOf(shape[0] as Size) === rows && numberOf(shape[1] as Size) === columns
}

/** Operators of ONNX Runtime's own that have a step of the engine. */
export const BLOCK_LOOKUP: Rules = { GatherBlockQuantized: gatherBlocks }
