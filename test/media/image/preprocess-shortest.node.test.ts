import { describe, expect, it } from 'vitest'
import { imageSettingsSchema } from '../../../src/catalog/manifest.ts'
import { framing, inputSize } from '../../../src/media/image/preprocess.ts'
import { preprocess } from '../../fixtures/all-at-once.ts'

const settings = (resize: number, longest: number, multiple?: number) =>
  imageSettingsSchema.parse({
    ...{ mode: 'RGB', size: [longest, longest], fit: 'shortest', resize, rescale: 1 / 255 },
    ...(multiple !== undefined && { multiple }),
  })

/** `get_size_with_aspect_ratio` of transformers 5.18, written down again. @returns [height, width] */
function published(height: number, width: number, size: number, most: number): [number, number] {
  const [least, greatest] = [Math.min(height, width), Math.max(height, width)]
  let raw: number | undefined
  let side = size
  if ((greatest / least) * size > most) {
    raw = (most * least) / greatest
    side = Math.round(raw)
  }
  if ((height <= width && height === side) || (width <= height && width === side)) return [height, width]
  if (width < height) return [Math.trunc(((raw ?? side) * height) / width), side]
  return [side, Math.trunc(((raw ?? side) * width) / height)]
}

describe('a picture in its own proportions', () => {
  it.each([
    [480, 640, 800, 1333],
    [640, 480, 800, 1333],
    [400, 1000, 800, 1333],
    [1080, 1920, 800, 1333],
    [1920, 1080, 800, 1333],
    [800, 800, 800, 1333],
    [31, 4000, 800, 1333],
    [427, 640, 512, 1333],
  ])('of %i x %i is as large as transformers makes it, of %i up to %i', (height, width, size, most) => {
    const [own, theirs] = [inputSize({ height, width }, settings(size, most)), published(height, width, size, most)]
    // A product that is whole but for the rounding of a double may end one pixel below there.
    for (const axis of [0, 1] as const) expect(Math.abs(own[axis] - theirs[axis])).toBeLessThanOrEqual(1)
    expect(own[height <= width ? 0 : 1]).toBe(theirs[height <= width ? 0 : 1])
    expect(Math.max(...own)).toBeLessThanOrEqual(most)
  })

  it('has sides that are multiples, where a model wants them, and never none', () => {
    expect(inputSize({ height: 427, width: 640 }, settings(512, 1333, 16))).toEqual([512, 752])
    expect(inputSize({ height: 1, width: 4000 }, settings(512, 1333, 16))).toEqual([16, 1328])
  })

  it('becomes a tensor of that size', () => {
    const picture = { width: 6, height: 3, channels: 3 as const, data: new Uint8Array(54).fill(255) }
    const { samples, shape } = preprocess(picture, settings(4, 100))
    expect(shape).toEqual([1, 3, 4, 8])
    expect(samples.every((sample) => Math.abs(sample - 1) < 1e-6)).toBe(true)
  })

  it('needs the length of its shorter side', () => {
    const without = { mode: 'RGB', size: [64, 64], fit: 'shortest', rescale: 1 }
    expect(imageSettingsSchema.safeParse(without).error?.issues[0]?.message).toBe(
      'must be the length of the shorter side, with fit "shortest"',
    )
  })
})

describe('a picture at the top left', () => {
  it('is scaled as YOLOX does, and padded at the right and at the bottom', () => {
    const start = imageSettingsSchema.parse({
      ...{ mode: 'L', size: [8, 8], fit: 'letterbox', anchor: 'start', pad: 114, rescale: 1 },
    })
    expect(framing({ width: 40, height: 20 }, start)).toEqual({ scaledWidth: 8, scaledHeight: 4, left: 0, top: 0 })
    const { samples } = preprocess({ width: 40, height: 20, channels: 1, data: new Uint8Array(800).fill(9) }, start)
    expect([...samples]).toEqual([...Array<number>(32).fill(9), ...Array<number>(32).fill(114)])
  })
})
