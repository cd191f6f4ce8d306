import { DataType, dimsOf, floatsOf, integersOf } from '../../onnx/data.ts'
import type { Constant, Quantized } from './values.ts'

/** A matrix of eight bits as a file has it, less its zero points. */
export interface Stored {
  readonly values: Int8Array
  /** What has a scale of its own. */
  readonly scaled: 'rows' | 'columns' | 'all'
  readonly scaleOf: (channel: number) => number
}

/**
 * The whole numbers of a weight [rows, columns], which need not be made from its floats. Undefined where a zero point takes
 * them out of eight bits, or where its scales are of something else.
 */
export function storedMatrix(
  { tensor, scale, zero, axis }: Quantized,
  rows: number,
  columns: number,
): Stored | undefined {
  if (tensor.dataType !== DataType.INT8 && tensor.dataType !== DataType.UINT8) return undefined
  const scales = floatsOf(scale)
  const zeros = zero ? integersOf(zero) : []
  const scaled = scales.length === 1 ? 'all' : axis === 0 ? 'rows' : 'columns'
  if (scaled !== 'all' && scales.length !== (scaled === 'rows' ? rows : columns)) return undefined
  const values = new Int8Array(rows * columns)
  for (const [index, value] of integersOf(tensor).entries()) {
    const channel = scaled === 'rows' ? Math.floor(index / columns) : index % columns
    const centred = value - (zeros[zeros.length === 1 ? 0 : channel] ?? 0)
    if (centred < -128 || centred > 127) return undefined
    values[index] = centred
  }
  return { values, scaled, scaleOf: (channel) => scales[scaled === 'all' ? 0 : channel] ?? 1 }
}

/** Eight bits as the floats that they stand for. */
export function asConstant({ tensor, shape }: Quantized, values: Float32Array): Constant {
  const rawData = new Uint8Array(values.buffer, values.byteOffset, values.byteLength) as Uint8Array<ArrayBuffer>
  return {
    kind: 'constant',
    type: DataType.FLOAT,
    shape,
    tensor: { ...tensor, dataType: DataType.FLOAT, rawData, int32Data: [] },
  }
}

export function dequantized({ tensor, scale, zero, axis }: Quantized): Float32Array {
  const values = integersOf(tensor)
  const scales = floatsOf(scale)
  const zeros = zero ? integersOf(zero) : []
  const dims = dimsOf(tensor)
  const inner = dims.slice(axis + 1).reduce((count, dim) => count * dim, 1)
  const count = dims[axis] ?? 1
  return Float32Array.from(values, (value, index) => {
    const channel = scales.length === 1 ? 0 : Math.floor(index / inner) % count
    return (value - (zeros[zeros.length === 1 ? 0 : channel] ?? 0)) * (scales[channel] ?? 1)
  })
}
