import { describe, expect, it } from 'vitest'
import { type Tensor, type Tensors, tensor } from '../../../src/core/tensors.ts'
import { seededFloats } from '../../../synthetic/onnx.ts'
import { encoderPlan, SMALL_ENCODER, tokenIds } from '../../../synthetic/verge-encoder.ts'
import { columnsInt8, type Int8Weight, PlanWriter } from '../../../synthetic/verge-plans.ts'
import { loadVerge, runSession, vergeEngine } from '../../fixtures/node/verge-engine.ts'

const BUILDS = ['relaxed', 'plain'] as const
const data = (value: Tensor | undefined) => value?.data as Float32Array<ArrayBuffer>

/** What docs/engine.md says of 8-bit products, step by step in single precision. */
function linearReference(
  x: Float32Array,
  { values, scales, sums }: Int8Weight,
  bias: Float32Array,
  rows: number,
): Float32Array {
  const f = Math.fround
  const [columns, depth] = [scales.length, values.length / scales.length]
  const magic = 12_582_912
  const nearest = (value: number) => f(f(value) + magic) - magic
  const out = new Float32Array(rows * columns)
  for (let row = 0; row < rows; row++) {
    const values32 = x.subarray(row * depth, (row + 1) * depth)
    const [low, high] = [Math.min(0, ...values32), Math.max(0, ...values32)]
    const range = f(high - low)
    const scale = f(range / 127)
    const inverse = range > 0 ? f(127 / range) : 0
    const zero = nearest(-low * inverse)
    const q = Array.from(values32, (value) => Math.max(0, Math.min(127, nearest(f(value * inverse)) + zero)))
    for (let column = 0; column < columns; column++) {
      let sum = 0
      for (let k = 0; k < depth; k++) sum += (q[k] as number) * (values[k * columns + column] as number)
      const exact = f(sum - zero * (sums[column] as number))
      out[row * columns + column] = f(f(exact * f(scale * (scales[column] as number))) + (bias[column] as number))
    }
  }
  return out
}

async function linear(
  x: Float32Array,
  weight: Int8Weight,
  bias: Float32Array,
  rows: number,
  build: (typeof BUILDS)[number],
) {
  const [columns, depth] = [bias.length, x.length / Math.max(1, rows)]
  const writer = new PlanWriter()
  const operands = [
    writer.input('x', 'FP32', [rows, depth]),
    writer.constant('i8', [depth, columns], weight.packed, 'columns-int8'),
    writer.constant('f32', [columns], weight.scales),
    writer.constant('i32', [columns], weight.sums),
    writer.constant('f32', [columns], bias),
  ]
  writer.output('y', 'FP32', [rows, columns], writer.step('linear-int8', operands, 'f32', [rows, columns]))
  const session = await loadVerge(vergeEngine(build), writer.artifact())
  return data((await runSession(session, { x: tensor('FP32', [rows, depth], new Float32Array(x)) })).get('y'))
}

describe('products in 8 bits', () => {
  const sizes = [
    [1, 1, 1],
    [4, 16, 8],
    [3, 5, 7],
    [5, 33, 9],
    [70, 130, 17],
    [129, 64, 24],
  ] as const
  it.each(sizes)(
    '%i rows, depth %i, %i columns: the same bits as the definition, in both builds',
    async (rows, depth, columns) => {
      const weight = columnsInt8(seededFloats(depth * columns, 3), depth, columns)
      const bias = seededFloats(columns, 4)
      const x = seededFloats(rows * depth, 5).map((value, at) => value * (1 + (at % 7)) + 0.3)
      const expected = linearReference(x, weight, bias, rows)
      for (const build of BUILDS) expect(await linear(x, weight, bias, rows, build)).toEqual(expected)
    },
  )

  it('is exact at the ends of its range: no sum of products overflows', async () => {
    const [depth, columns] = [512, 8]
    for (const value of [-128, 127]) {
      const values = new Int8Array(depth * columns).fill(value)
      const sums = new Int32Array(columns).fill(value * depth)
      const weight: Int8Weight = { packed: values, values, scales: new Float32Array(columns).fill(1), sums }
      for (const sign of [1, -1]) {
        const x = new Float32Array(depth).fill(127 * sign)
        for (const build of BUILDS) {
          const y = await linear(x, weight, new Float32Array(columns), 1, build)
          expect(y).toEqual(new Float32Array(columns).fill(127 * sign * value * depth))
        }
      }
    }
  })

  it('gives the bias for zeros, and no finite number for NaN and infinity, in their rows alone', async () => {
    const weight = columnsInt8(seededFloats(20 * 9, 3), 20, 9)
    const bias = seededFloats(9, 4)
    const x = new Float32Array(5 * 20)
    x.set(seededFloats(20, 9), 0)
    x[25] = Number.NaN
    x[45] = Number.POSITIVE_INFINITY
    x[66] = Number.NEGATIVE_INFINITY
    const first = await linear(x.slice(0, 20), weight, bias, 1, 'relaxed')
    for (const build of BUILDS) {
      const y = await linear(x, weight, bias, 5, build)
      expect(y.slice(0, 9)).toEqual(first)
      expect([...y.slice(9, 36)].some(Number.isFinite)).toBe(false)
      expect(y.slice(36)).toEqual(bias)
    }
  })
})

describe('an encoder in 8 bits', () => {
  const artifact = encoderPlan(SMALL_ENCODER).artifact()
  const { width, words } = SMALL_ENCODER

  function inputs(texts: readonly (readonly bigint[])[], length: number): Record<string, Tensor> {
    const shape = [texts.length, length]
    const padded = texts.flatMap((text) => [...text, ...new Array<bigint>(length - text.length).fill(0n)])
    const kept = texts.flatMap((text) => Array.from({ length }, (_, at) => (at < text.length ? 1n : 0n)))
    return {
      input_ids: tensor('INT64', shape, BigInt64Array.from(padded)),
      attention_mask: tensor('INT64', shape, BigInt64Array.from(kept)),
    }
  }

  const texts = [9, 1, 23, 16, 4].map((length, index) => tokenIds(length, words, index + 1))

  async function run(
    build: (typeof BUILDS)[number],
    batch: readonly (readonly bigint[])[],
    length: number,
  ): Promise<Tensors> {
    return runSession(await loadVerge(vergeEngine(build), artifact), inputs(batch, length))
  }

  it('gives the same bits alone, in a batch, padded, and in both builds', async () => {
    const batch = await run('relaxed', texts, 40)
    expect(await run('plain', texts, 40)).toEqual(batch)
    for (const [index, text] of texts.entries()) {
      const alone = await run('relaxed', [text], text.length)
      const sentence = data(batch.get('sentence')).slice(index * width, (index + 1) * width)
      expect(sentence).toEqual(data(alone.get('sentence')))
      const states = data(batch.get('last_hidden_state')).slice(index * 40 * width, (index * 40 + text.length) * width)
      expect(states).toEqual(data(alone.get('last_hidden_state')))
    }
  })

  it('is close to the same encoder in floats', async () => {
    const floats = await loadVerge(vergeEngine(), encoderPlan({ ...SMALL_ENCODER, floats: true }).artifact())
    const exact = data((await runSession(floats, inputs(texts, 23))).get('sentence'))
    const quantized = data((await run('relaxed', texts, 23)).get('sentence'))
    for (let text = 0; text < texts.length; text++) {
      let product = 0
      for (let at = text * width; at < (text + 1) * width; at++)
        product += (exact[at] as number) * (quantized[at] as number)
      expect(product).toBeGreaterThan(0.999)
    }
  })

  it('takes an empty batch and an empty text, and refuses what is longer than its positions or outside of its table', async () => {
    const session = await loadVerge(vergeEngine(), artifact)
    expect((await runSession(session, inputs([], 7))).get('last_hidden_state')?.shape).toEqual([0, 7, width])
    expect((await runSession(session, inputs([[]], 0))).get('last_hidden_state')?.shape).toEqual([1, 0, width])
    const before = await runSession(session, inputs(texts, 23))
    await expect(runSession(session, inputs([tokenIds(41, words, 3)], 41))).rejects.toMatchObject({
      code: 'invalid_tensor',
      message: 'Input "input_ids" has 41 elements along axis 1, and the model takes at most 40.',
    })
    for (const id of [50n, -51n, 2147483647n]) {
      await expect(runSession(session, inputs([[1n, id]], 2))).rejects.toMatchObject({
        code: 'run_rejected',
        message: expect.stringContaining(`index ${id} is out of range, which is -50 to 49 (operator gather-rows)`),
      })
    }
    await expect(runSession(session, inputs([[2147483648n]], 1))).rejects.toMatchObject({
      code: 'integer_too_large',
    })
    const mask = tensor('INT64', [5, 22], new BigInt64Array(110))
    await expect(runSession(session, { ...inputs(texts, 23), attention_mask: mask })).rejects.toMatchObject({
      code: 'invalid_tensor',
    })
    expect(await runSession(session, inputs(texts, 23))).toEqual(before)
  })
})
