import { expect, it } from 'vitest'
import { shown } from '../../../src/cli/push/question.ts'
import { tensor } from '../../../src/core/tensors.ts'

it('shows half floats as numbers, not as their bits', () => {
  // 0x3c00 is 1, 0xc100 is -2.5, 0x3555 is 0.333251953125: IEEE 754 binary16.
  const half = tensor('FP16', [3], Uint16Array.of(0x3c00, 0xc100, 0x3555))
  expect(shown(half)).toBe('FP16 [3]: 1, -2.5, 0.3333')
  expect(shown(tensor('INT64', [1], BigInt64Array.of(2n ** 60n)))).toBe('INT64 [1]: 1152921504606846976')
  expect(shown(tensor('FP32', [5], Float32Array.of(1, 2, 3, 4, 5)))).toBe('FP32 [5]: 1, 2, 3, 4, ...')
})
