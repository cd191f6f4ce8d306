import { expect, it } from 'vitest'
import { type Tensor, tensor } from '../../../../src/core/tensors.ts'
import { seededFloats } from '../../../../synthetic/onnx.ts'
import { PlanWriter } from '../../../../synthetic/verge-plans.ts'
import { loadVerge, runSession, vergeEngine } from '../../../fixtures/node/verge-engine.ts'

const floats = (shape: readonly number[], seed: number): Tensor =>
  tensor(
    'FP32',
    shape,
    seededFloats(
      shape.reduce((count, dim) => count * dim, 1),
      seed,
    ),
  )

interface RotaryCase {
  readonly x: Tensor
  readonly cos: Tensor
  readonly sin: Tensor
  readonly heads: number
  readonly size: number
  readonly offset: number
}

async function verge({ x, cos, sin, heads, size, offset }: RotaryCase, build: 'relaxed' | 'plain'): Promise<Tensor> {
  const writer = new PlanWriter()
  const operands = Object.entries({ x, cos, sin }).map(([name, { shape }]) => writer.input(name, 'FP32', shape))
  const shape = [x.shape[0] ?? 0, x.shape[1] ?? 0, heads * size]
  const step = writer.step('rotary', operands, 'f32', shape, { heads, headSize: size, offset })
  writer.output('y', 'FP32', shape, step)
  const session = await loadVerge(vergeEngine(build), writer.artifact())
  return (await runSession(session, { x, cos, sin })).get('y') as Tensor
}

/** x * cos + [-x2, x1] * sin, rounded after each operation as floats are. */
function reference({ x, cos, sin, heads, size, offset }: RotaryCase): Tensor {
  const [batch = 0, length = 0, channels = 0] = x.shape
  const [angleBatch = 0, angleLength = 0, angles = 0] = cos.shape
  const out = new Float32Array(batch * length * heads * size)
  const at = (value: Tensor, index: number): number => (value.data as Float32Array)[index] as number
  for (let place = 0; place < out.length; place++) {
    const [channel, row] = [place % size, Math.floor(place / (heads * size))]
    const head = Math.floor(place / size) % heads
    const [b, s] = [Math.floor(row / length), row % length]
    const from = row * channels + offset + head * size
    const angle = ((angleBatch === 1 ? 0 : b) * angleLength + (angleLength === 1 ? 0 : s)) * angles + (channel % angles)
    const other = channel < size / 2 ? -at(x, from + channel + size / 2) : at(x, from + channel - size / 2)
    out[place] = Math.fround(at(x, from + channel) * at(cos, angle)) + Math.fround(other * at(sin, angle))
  }
  return tensor('FP32', [batch, length, heads * size], out)
}

it.each([
  { batch: 1, length: 3, heads: 2, size: 8, wide: 16, angles: [1, 3, 8] },
  { batch: 2, length: 4, heads: 3, size: 6, wide: 20, offset: 2, angles: [2, 4, 6] },
  { batch: 2, length: 5, heads: 1, size: 64, wide: 192, offset: 128, angles: [1, 5, 32] },
  { batch: 3, length: 2, heads: 4, size: 2, wide: 8, angles: [3, 1, 1] },
])('turns $heads heads of $size by angles of $angles, bit for bit', async (given) => {
  const { batch, length, heads, size, wide, offset = 0, angles } = given
  const subject = {
    x: floats([batch, length, wide], 3),
    cos: floats(angles, 4),
    sin: floats(angles, 5),
    heads,
    size,
    offset,
  }
  for (const build of ['relaxed', 'plain'] as const) expect(await verge(subject, build)).toEqual(reference(subject))
})

it.each([
  ['an odd number of channels', { size: 3 }, 'it has no pairs'],
  ['heads beyond its channels', { offset: 5 }, 'its heads lie outside its tensor'],
  ['angles of other channels', { cos: floats([1, 3, 5], 1), sin: floats([1, 3, 5], 1) }, 'its angles do not fit'],
  ['angles of other positions', { cos: floats([1, 2, 4], 1), sin: floats([1, 2, 4], 1) }, 'its angles do not fit'],
  ['sines of another shape', { sin: floats([1, 3, 2], 1) }, 'its sines have another shape'],
])('refuses %s', async (_, changed, reason) => {
  const subject = { x: floats([1, 3, 8], 1), cos: floats([1, 3, 4], 1), sin: floats([1, 3, 4], 1), heads: 2, size: 4 }
  await expect(verge({ ...subject, offset: 0, ...changed }, 'relaxed')).rejects.toMatchObject({
    message: expect.stringContaining(reason),
  })
})
