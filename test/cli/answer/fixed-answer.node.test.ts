import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { answerDigest, fixedInputs } from '../../../src/cli/answer/fixed-answer.ts'
import { tensor } from '../../../src/core/tensors.ts'

describe('a fixed input', () => {
  it('follows the rule of the manifest in every type', () => {
    const inputs = fixedInputs([
      { name: 'ids', datatype: 'INT64', shape: [1, 4], below: 1000 },
      { name: 'mask', datatype: 'INT64', shape: [1, 2] },
      { name: 'pixels', datatype: 'UINT8', shape: [3], below: 256 },
      { name: 'flag', datatype: 'BOOL', shape: [2], below: 2 },
      { name: 'x', datatype: 'FP32', shape: [3] },
      { name: 'half', datatype: 'FP16', shape: [2] },
    ])
    expect(inputs.get('ids')).toEqual(tensor('INT64', [1, 4], BigInt64Array.of(1n, 920n, 839n, 758n)))
    expect(inputs.get('mask')).toEqual(tensor('INT64', [1, 2], BigInt64Array.of(1n, 1n)))
    expect(inputs.get('pixels')).toEqual(tensor('UINT8', [3], Uint8Array.of(1, 240, 223)))
    expect(inputs.get('flag')).toEqual(tensor('BOOL', [2], Uint8Array.of(1, 1)))
    expect(inputs.get('x')).toEqual(tensor('FP32', [3], Float32Array.of(0, 0.919, 0.838)))
    expect(inputs.get('half')).toEqual(tensor('FP16', [2], new Uint16Array(Float16Array.of(0, 0.919).buffer)))
  })
})

describe('the digest of an answer', () => {
  it('is of the bytes of all outputs in their order, views of larger memory among them', () => {
    const memory = Float32Array.of(9, 1, 2)
    const outputs = new Map([
      ['a', tensor('FP32', [2], memory.subarray(1))],
      ['b', tensor('INT64', [1], BigInt64Array.of(3n))],
    ])
    const bytes = Buffer.concat([Buffer.from(Float32Array.of(1, 2).buffer), Buffer.from(BigInt64Array.of(3n).buffer)])
    expect(answerDigest(outputs)).toBe(createHash('sha256').update(bytes).digest('hex'))
    expect(answerDigest(new Map([...outputs].reverse()))).not.toBe(answerDigest(outputs))
  })
})
