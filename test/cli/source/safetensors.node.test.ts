import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SOURCE_LIMITS } from '../../../src/cli/source/limits.ts'
import { readSafetensors } from '../../../src/cli/source/safetensors.ts'
import { safetensors, withHeader } from '../../fixtures/node/safetensors.ts'
import { messageOf } from '../../fixtures/node/source-options.ts'

let root: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'verge-safetensors-'))
})
afterEach(() => rm(root, { recursive: true, force: true }))

async function read(bytes: Buffer) {
  const path = join(root, 'model.safetensors')
  await writeFile(path, bytes)
  return readSafetensors(path, 'it')
}

const tensor = (dtype: string, shape: readonly unknown[], data_offsets: readonly unknown[]) => ({
  dtype,
  shape,
  data_offsets,
})

describe('a safetensors file', () => {
  it('says where each tensor lies, whatever its order and its metadata', async () => {
    const bytes = safetensors(
      {
        b: { dtype: 'F32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
        a: { dtype: 'I8', shape: [3], data: Int8Array.of(1, 2, 3) },
        none: { dtype: 'F16', shape: [0, 4], data: new Uint16Array(0) },
        __proto: { dtype: 'I64', shape: [], data: BigInt64Array.of(7n) },
      },
      { format: 'pt' },
    )
    const tensors = await read(bytes)
    const a = tensors.get('a')
    expect(a).toMatchObject({ dtype: 'I8', shape: [3], bytes: 3 })
    expect([...bytes.subarray(a?.offset, (a?.offset ?? 0) + 3)]).toEqual([1, 2, 3])
    expect(tensors.get('none')).toMatchObject({ bytes: 0 })
    expect(tensors.get('__proto')).toMatchObject({ bytes: 8, shape: [] })
    expect([...tensors.keys()].sort()).toEqual(['__proto', 'a', 'b', 'none'])
  })

  const whole = safetensors({ a: { dtype: 'F32', shape: [2], data: Float32Array.of(1, 2) } })
  const length = (bytes: bigint) => {
    const head = Buffer.alloc(8)
    head.writeBigUInt64LE(bytes)
    return Buffer.concat([head, Buffer.from('{}')])
  }

  it.each([
    ['empty', Buffer.alloc(0), /too short for a header/],
    ['cut off', whole.subarray(0, whole.length - 1), /end at byte \d+, and the file at byte \d+/],
    ['cut off in its header', whole.subarray(0, 20), /ends inside of its header/],
    ['longer than its tensors', Buffer.concat([whole, Buffer.alloc(1)]), /end at byte/],
    ['with a header of 2^64 bytes', length(2n ** 64n - 1n), /its header would have 18446744073709551615 bytes/],
    ['with a header over the limit', length(BigInt(SOURCE_LIMITS.safetensorsHeaderBytes) + 1n), /and the limit is/],
    ['with a header that is no JSON', withHeader('{"a":'), /header is not JSON/],
    ['with a header that is a list', withHeader([]), /not a JSON object/],
    ['with a tensor that is a number', withHeader({ a: 1 }), /"a" has no description/],
    ['with an unknown datatype', withHeader({ a: tensor('F9', [1], [0, 1]) }, Buffer.alloc(1)), /unknown datatype F9/],
    ['with a datatype of every object', withHeader({ a: tensor('toString', [1], [0, 1]) }, Buffer.alloc(1)), /unknown/],
    ['with a negative size', withHeader({ a: tensor('I8', [-1], [0, 1]) }, Buffer.alloc(1)), /no valid shape/],
    ['with a size that is no number', withHeader({ a: tensor('I8', ['1'], [0, 1]) }, Buffer.alloc(1)), /valid shape/],
    ['with offsets in disorder', withHeader({ a: tensor('I8', [1], [1, 0]) }, Buffer.alloc(1)), /no valid offsets/],
    ['with three offsets', withHeader({ a: tensor('I8', [1], [0, 1, 2]) }, Buffer.alloc(1)), /no valid offsets/],
    ['with fewer bytes than its shape', withHeader({ a: tensor('F32', [2], [0, 4]) }, Buffer.alloc(4)), /shape says 8/],
    [
      'with a product beyond all numbers',
      withHeader({ a: tensor('F32', [2 ** 52, 2 ** 52], [0, 4]) }, Buffer.alloc(4)),
      /shape says/,
    ],
    ['with a gap', withHeader({ a: tensor('I8', [1], [1, 2]) }, Buffer.alloc(2)), /does not begin where/],
    [
      'with tensors that overlap',
      withHeader({ a: tensor('I8', [2], [0, 2]), b: tensor('I8', [2], [1, 3]) }, Buffer.alloc(3)),
      /"b" does not begin where the one before ends/,
    ],
    ['with a tensor behind its end', withHeader({ a: tensor('I8', [9], [0, 9]) }, Buffer.alloc(1)), /the file at byte/],
  ] as const)('is refused %s', async (_, bytes, message) => {
    expect(await messageOf(read(bytes), root)).toMatch(message)
  })
})
