import { describe, expect, it } from 'vitest'
import { type Tensor, tensor } from '../../../../src/core/tensors.ts'
import { kernelsOn } from '../../../../src/engine/verge/kernels.ts'
import { bindPlan } from '../../../../src/engine/verge/program.ts'
import { seededFloats } from '../../../../synthetic/onnx.ts'
import { PlanWriter } from '../../../../synthetic/verge-plans.ts'
import { kernelModule, loadVerge, runSession, vergeEngine } from '../../../fixtures/node/verge-engine.ts'

const BUILDS = ['relaxed', 'plain'] as const
const SCALE = 0.3

interface Case {
  readonly batch: number
  readonly queries: number
  readonly keys: number
  readonly heads: number
  readonly size: number
  readonly q: Float32Array
  readonly k: Float32Array
  readonly v: Float32Array
  /** Added to the scores, with a shape that broadcasts to [batch, heads, queries, keys]. */
  readonly mask?: { readonly shape: readonly number[]; readonly values: Float32Array }
  readonly keep?: readonly number[]
}

type Sizes = Pick<Case, 'batch' | 'queries' | 'keys' | 'heads' | 'size'>

/** Numbers that are about normal, of standard deviation 1. */
function normals(count: number, seed: number): Float32Array {
  const [a, b, c] = [seed, seed + 101, seed + 211].map((own) => seededFloats(count, own * 7919))
  return Float32Array.from({ length: count }, (_, at) => (a?.[at] ?? 0) + (b?.[at] ?? 0) + (c?.[at] ?? 0))
}

/** @param spread of queries and keys: scores have a standard deviation of `SCALE` times the root of the size times its square */
function made(sizes: Sizes, spread: number): Case {
  const { batch, queries, keys, heads, size } = sizes
  const width = heads * size
  return {
    ...sizes,
    q: normals(batch * queries * width, 1).map((value) => value * spread),
    k: normals(batch * keys * width, 2).map((value) => value * spread),
    v: normals(batch * keys * width, 3),
  }
}

function writerOf(
  op: string,
  { batch, queries, keys, heads, size, mask, keep }: Omit<Case, 'q' | 'k' | 'v'>,
): PlanWriter {
  const writer = new PlanWriter()
  const width = heads * size
  const operands = [
    writer.input('q', 'FP32', [batch, queries, width]),
    writer.input('k', 'FP32', [batch, keys, width]),
    writer.input('v', 'FP32', [batch, keys, width]),
    mask ? writer.input('mask', 'FP32', mask.shape) : null,
    keep ? writer.constant('i32', [batch, keys], Int32Array.from(keep)) : null,
  ]
  const shape = [batch, queries, width]
  const attributes = { heads, headSize: size, scale: SCALE, offsets: [0, 0, 0] }
  writer.output('y', 'FP32', shape, writer.step(op, operands, 'f32', shape, attributes))
  return writer
}

async function attend(given: Case, build: (typeof BUILDS)[number] = 'relaxed'): Promise<Float32Array> {
  const { batch, queries, keys, heads, size, q, k, v, mask } = given
  const session = await loadVerge(vergeEngine(build), writerOf('attention-int8', given).artifact())
  const of = (length: number, values: Float32Array): Tensor =>
    tensor('FP32', [batch, length, heads * size], new Float32Array(values))
  const answer = await runSession(session, {
    q: of(queries, q),
    k: of(keys, k),
    v: of(keys, v),
    ...(mask && { mask: tensor('FP32', mask.shape, new Float32Array(mask.values)) }),
  })
  return answer.get('y')?.data as Float32Array
}

/** In doubles, by the definition; `bias` is what is added to the score of a query and a key. */
function inDoubles(given: Case, bias: (query: number, key: number, head: number) => number = () => 0): Float64Array {
  const { batch, queries, keys, heads, size, q, k, v } = given
  const width = heads * size
  const out = new Float64Array(batch * queries * width)
  for (let item = 0; item < batch; item++) {
    for (let head = 0; head < heads; head++) {
      const row = (values: Float32Array, length: number, place: number): Float32Array =>
        values.subarray((item * length + place) * width + head * size).subarray(0, size)
      for (let query = 0; query < queries; query++) {
        const own = row(q, queries, query)
        const scores = Array.from({ length: keys }, (_, key) => {
          const other = row(k, keys, key)
          return own.reduce((sum, value, at) => sum + value * (other[at] as number), 0) * SCALE + bias(query, key, head)
        })
        const most = Math.max(...scores)
        const weights = scores.map((score) => Math.exp(score - most))
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        const target = out.subarray((item * queries + query) * width + head * size).subarray(0, size)
        for (const [key, weight] of weights.entries()) {
          for (const [at, value] of row(v, keys, key).entries())
            target[at] = (target[at] as number) + (weight / total) * value
        }
      }
    }
  }
  return out
}

/** The root of the mean square of the differences, by that of what is expected. */
function relative(actual: Float32Array, expected: Float64Array): number {
  const squares = (values: Iterable<number>): number => [...values].reduce((sum, value) => sum + value * value, 0)
  return Math.sqrt(squares(expected.map((value, at) => value - (actual[at] ?? Number.NaN))) / squares(expected))
}

describe('attention in whole numbers', () => {
  const plain = { batch: 1, heads: 2 }
  it.each([
    [{ ...plain, queries: 1, keys: 1, size: 32 }, 1, 2e-3],
    [{ ...plain, queries: 16, keys: 16, size: 32 }, 0.7, 1.5e-2],
    [{ ...plain, queries: 13, keys: 131, size: 12 }, 0.8, 1.5e-2],
    [{ ...plain, queries: 7, keys: 5, size: 5 }, 0.8, 1.5e-2],
    [{ ...plain, queries: 20, keys: 257, size: 64 }, 0.6, 1.5e-2],
    [{ ...plain, queries: 9, keys: 40, size: 80 }, 0.6, 1.5e-2],
    [{ ...plain, queries: 8, keys: 129, size: 96 }, 0.6, 1.5e-2],
    // Spread over all keys, as good as on one key alone (scores up to 30 and more), and in between.
    [{ ...plain, queries: 40, keys: 512, size: 32 }, 0.3, 1e-2],
    [{ ...plain, queries: 40, keys: 512, size: 32 }, 2.2, 5e-2],
    [{ ...plain, queries: 512, keys: 512, size: 32, heads: 1 }, 1, 2e-2],
    // Zeros give the mean of the values.
    [{ ...plain, queries: 3, keys: 17, size: 8 }, 0, 1e-3],
  ] as const)(
    '%j, spread %f: within %f of the definition, the same bits in both builds',
    async (sizes, spread, tolerance) => {
      const given = made(sizes, spread)
      const actual = await attend(given)
      expect(relative(actual, inDoubles(given))).toBeLessThan(tolerance)
      expect(await attend(given, 'plain')).toEqual(actual)
    },
  )

  it('keeps what many small weights add up to beside a large one', async () => {
    const given = made({ batch: 1, queries: 8, keys: 512, heads: 1, size: 32 }, 0.3)
    // A first key that all queries look at most, and that says next to nothing, as in trained models.
    for (let query = 0; query < 8; query++) given.q[query * 32] = 5
    for (let at = 0; at < 32; at++) {
      given.k[at] = at === 0 ? 4 : 0
      given.v[at] = (given.v[at] as number) / 50
    }
    const expected = inDoubles(given)
    expect(relative(await attend(given), expected)).toBeLessThan(2e-2)
  })

  it('is as exact for large and small values of a key beside others', async () => {
    const given = made({ batch: 1, queries: 8, keys: 64, heads: 1, size: 32 }, 0.3)
    for (let key = 0; key < 64; key++) {
      for (let at = 0; at < 32; at++)
        given.v[key * 32 + at] = (given.v[key * 32 + at] as number) * 10 ** ((key % 7) - 3)
    }
    expect(relative(await attend(given), inDoubles(given))).toBeLessThan(1e-2)
    const zeros = { ...given, v: new Float32Array(64 * 32) }
    expect(await attend(zeros)).toEqual(new Float32Array(8 * 32))
  })

  it('answers each of a batch as if it were alone', async () => {
    const given = made({ batch: 3, queries: 13, keys: 140, heads: 2, size: 32 }, 1)
    const together = await attend(given)
    for (let item = 0; item < 3; item++) {
      const own = (values: Float32Array, length: number) => values.slice(item * length * 64, (item + 1) * length * 64)
      const alone = { ...given, batch: 1, q: own(given.q, 13), k: own(given.k, 140), v: own(given.v, 140) }
      expect(await attend(alone)).toEqual(own(together, 13))
    }
  })

  describe('masks', () => {
    const sizes = { batch: 1, queries: 13, keys: 140, heads: 2, size: 32 }
    const given = made(sizes, 1)
    // Whatever stands at hidden keys.
    const garbage = (values: Float32Array, from: number, to: number) =>
      values.map((value, at) => (at < from * 64 || at >= to * 64 ? value * 1e3 + 5 : value))
    const part = (from: number, to: number): Case => ({
      ...given,
      keys: to - from,
      k: given.k.slice(from * 64, to * 64),
      v: given.v.slice(from * 64, to * 64),
    })
    const row = (from: number, to: number, low: number) =>
      Float32Array.from({ length: 140 }, (_, key) => (key >= from && key < to ? 0 : low))
    const repeated = (values: Float32Array) => Float32Array.from({ length: 13 * 140 }, (_, at) => values[at % 140] ?? 0)

    it.each([
      ['behind the others', 0, 131],
      ['before the others', 9, 140],
      ['around the others', 5, 131],
    ] as const)('hides keys %s: as if they were not there, bit for bit', async (_, from, to) => {
      const expected = await attend(part(from, to))
      const hidden = { ...given, k: garbage(given.k, from, to), v: garbage(given.v, from, to) }
      const keep = [...row(from, to, 1)].map((value) => 1 - value)
      for (const build of BUILDS) {
        expect(await attend({ ...hidden, keep }, build)).toEqual(expected)
        for (const low of [Number.NEGATIVE_INFINITY, -3.4e38, -1e30]) {
          const mask = { shape: [1, 1, 1, 140], values: row(from, to, low) }
          expect(await attend({ ...hidden, mask }, build)).toEqual(expected)
        }
      }
    })

    it('hides keys behind the others by any mask that is low enough, bit for bit', async () => {
      const expected = await attend(part(0, 131))
      for (const low of [-1e5, -1e30, Number.NEGATIVE_INFINITY]) {
        const values = row(0, 131, low)
        const loud = { ...given, v: garbage(given.v, 0, 131) }
        expect(await attend({ ...loud, mask: { shape: [1, 1, 1, 140], values } })).toEqual(expected)
        expect(await attend({ ...loud, mask: { shape: [1, 1, 13, 140], values: repeated(values) } })).toEqual(expected)
      }
    })

    it('does not take a mask for more than it is where scores make up for it', async () => {
      // The last key has a score of 160, the others of -60: under a mask of -95 it still outweighs them.
      const ones = (count: number, value: number) => new Float32Array(count).fill(value)
      const k = Float32Array.from([...ones(139 * 64, -2.5), ...ones(64, 20 / 3)])
      const mask = { shape: [1, 1, 1, 140], values: row(0, 139, -95) }
      const actual = await attend({ ...given, q: ones(13 * 64, 2.5), k, mask })
      const last = Array.from({ length: 13 }, () => [...given.v.slice(139 * 64)]).flat()
      expect(relative(actual, Float64Array.from(last))).toBeLessThan(1e-3)
    })

    it('adds a mask of any shape, and hides keys among others', async () => {
      const values = normals(2 * 13 * 140, 8)
      const actual = await attend({ ...given, mask: { shape: [1, 2, 13, 140], values } })
      const expected = inDoubles(given, (query, key, head) => values[(head * 13 + query) * 140 + key] ?? 0)
      expect(relative(actual, expected)).toBeLessThan(2e-2)
      // One for all heads is that of each.
      const single = values.slice(0, 13 * 140)
      const shared = await attend({ ...given, mask: { shape: [1, 1, 13, 140], values: single } }, 'plain')
      const both = Float32Array.from([...single, ...single])
      expect(await attend({ ...given, mask: { shape: [1, 2, 13, 140], values: both } })).toEqual(shared)
      const keep = Array.from({ length: 140 }, (_, key) => (key % 3 === 1 ? 0 : 1))
      const few = await attend({ ...given, keep })
      expect(
        relative(
          few,
          inDoubles(given, (_, key) => (keep[key] ? 0 : -1e30)),
        ),
      ).toBeLessThan(2e-2)
    })

    it('gives zeros where no key is left, and the mean where all are as low', async () => {
      const none = { shape: [1, 1, 1, 1], values: Float32Array.of(Number.NEGATIVE_INFINITY) }
      expect((await attend({ ...given, mask: none })).every((value) => value === 0)).toBe(true)
      const low = await attend({
        ...given,
        mask: { shape: [1, 1, 1, 1], values: Float32Array.of(-3.4028234663852886e38) },
      })
      const mean = await attend({ ...given, q: new Float32Array(given.q.length) })
      expect(relative(low, Float64Array.from(mean))).toBeLessThan(1e-6)
    })
  })

  it('gives no finite number for NaN and infinity, in their rows alone', async () => {
    const given = made({ batch: 1, queries: 9, keys: 20, heads: 2, size: 16 }, 1)
    const sound = await attend(given)
    const rows = (values: Float32Array, head: number) =>
      Array.from({ length: 9 }, (_, query) => values.slice(query * 32 + head * 16, query * 32 + head * 16 + 16))
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const build of BUILDS) {
        const q = given.q.slice()
        q[3 * 32 + 2] = bad
        const asked = await attend({ ...given, q }, build)
        expect(rows(asked, 1)).toEqual(rows(sound, 1))
        for (const [query, values] of rows(asked, 0).entries()) {
          if (query === 3) expect([...values].some(Number.isFinite)).toBe(false)
          else expect(values).toEqual(rows(sound, 0)[query])
        }
        for (const name of ['k', 'v'] as const) {
          const values = given[name].slice()
          values[19 * 32 + 20] = bad
          const answer = await attend({ ...given, [name]: values }, build)
          expect(rows(answer, 0)).toEqual(rows(sound, 0))
          expect(rows(answer, 1).some((row) => [...row].some(Number.isFinite))).toBe(false)
        }
      }
    }
  })
})

it.each(['attention', 'attention-int8'] as const)('%s has the scratch that its kernel wants', (op) => {
  const kernels = kernelsOn(kernelModule('plain'), new WebAssembly.Memory({ initial: 2 }))
  const wanted = op === 'attention' ? kernels.attentionScratch : kernels.attentionInt8Scratch
  for (const [keys, size] of [
    [1, 1],
    [5, 12],
    [130, 33],
    [512, 64],
  ] as const) {
    const shape = { batch: 1, queries: 3, keys, heads: 1, size }
    const { arenaBytes, inputs, outputs } = bindPlan(writerOf(op, shape).plan(), [])
    const tensors = [...inputs, ...outputs].reduce((sum, { count }) => sum + Math.ceil((count * 4) / 64) * 64, 0)
    expect(arenaBytes - tensors).toBe(Math.ceil(wanted(keys, size) / 64) * 64)
  }
})

it.each(BUILDS)('attention in whole numbers keeps to its scratch (%s)', (build) => {
  const memory = new WebAssembly.Memory({ initial: 8 })
  const kernels = kernelsOn(kernelModule(build), memory)
  const bytes = new Uint8Array(memory.buffer)
  for (const [queries, keys, size] of [
    [1, 1, 1],
    [9, 5, 7],
    [3, 131, 12],
    [8, 256, 32],
  ] as const) {
    const scratch = 65_536 * 4
    bytes.fill(0, 65_536)
    bytes.fill(0x5a, scratch)
    const room = kernels.attentionInt8Scratch(keys, size)
    const [q, k, v, out] = [65_536, 65_536 + 8192, 65_536 * 2, 65_536 * 3]
    const row = size * 4
    kernels.attentionInt8Heads(q, k, v, out, row, row, row, row, queries, keys, size, 1, 0, 0, 0, 0, scratch, 1, 0)
    expect(bytes.subarray(scratch + room).every((byte) => byte === 0x5a)).toBe(true)
    // It writes to the last of it: a smaller one would not do.
    expect(bytes.subarray(scratch + room - 256, scratch + room).some((byte) => byte !== 0x5a)).toBe(true)
  }
})
