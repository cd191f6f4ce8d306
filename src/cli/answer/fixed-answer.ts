import { createHash } from 'node:crypto'
import type { FixedAnswer } from '../../catalog/manifest.ts'
import { ARRAY_TYPES, elementCount, halves, type NumericArray, type Tensor, type Tensors } from '../../core/tensors.ts'

export type FixedInput = FixedAnswer['inputs'][number]

/** A prime, so that rows differ, whatever their length. */
const STRIDE = 7919
const FRACTIONS = 1000

/** The inputs that the rule in the manifest (`answerSchema`) describes. */
export function fixedInputs(inputs: readonly FixedInput[]): Tensors {
  return new Map(inputs.map((input) => [input.name, fixedInput(input)]))
}

function fixedInput({ datatype, shape, below }: FixedInput): Tensor {
  const data: NumericArray = new ARRAY_TYPES[datatype](elementCount(shape))
  const whole = (index: number): number => {
    return below === undefined || datatype === 'BOOL' ? 1 : (index * STRIDE + 1) % below
  }
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let i = 0; i < data.length; i++) data[i] = BigInt(whole(i))
  } else if (datatype === 'FP32' || datatype === 'FP64' || datatype === 'FP16') {
    const numbers = datatype === 'FP16' ? halves(data as Uint16Array) : data
    for (let i = 0; i < data.length; i++) numbers[i] = ((i * STRIDE) % FRACTIONS) / FRACTIONS
  } else {
    for (let i = 0; i < data.length; i++) data[i] = whole(i)
  }
  return { datatype, shape, data } as Tensor
}

/** The SHA-256 of all bytes of outputs, in their order. */
export function answerDigest(outputs: Tensors): string {
  const hash = createHash('sha256')
  for (const { data } of outputs.values()) {
    if (ArrayBuffer.isView(data)) hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    else hash.update(JSON.stringify(data))
  }
  return hash.digest('hex')
}
