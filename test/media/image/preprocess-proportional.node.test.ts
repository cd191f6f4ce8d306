import { describe, expect, it } from 'vitest'
import type { ImageSettings } from '../../../src/catalog/manifest.ts'
import { finish, StepMeter } from '../../../src/core/work.ts'
import { framing, inputSize, preprocessing } from '../../../src/media/image/preprocess.ts'

const settings: ImageSettings = {
  mode: 'L',
  fit: 'proportional',
  size: [518, 518],
  multiple: 14,
  rescale: 1,
  layout: 'NCHW',
}

describe('pictures in their own proportions', () => {
  // As transformers' `get_resize_output_image_size` of DPT gives them, [height, width].
  it.each([
    [640, 480, [518, 686]],
    [480, 640, [686, 518]],
    [518, 518, [518, 518]],
    [100, 100, [518, 518]],
    [1920, 1080, [518, 924]],
    // A half is rounded to the even number: 36.5 times 14.
    [511, 518, [518, 504]],
    [3, 700, [700 - 182, 14]],
  ])('of %i x %i', (width, height, expected) => {
    expect(inputSize({ width, height }, settings)).toEqual(expected)
    const { left, top } = framing({ width, height }, settings)
    expect([left, top]).toEqual([0, 0])
  })

  it('become a tensor of that size', () => {
    const image = { width: 8, height: 4, channels: 1 as const, data: new Uint8Array(32).fill(7) }
    const small: ImageSettings = { ...settings, size: [6, 6], multiple: 2 }
    const { samples, shape } = finish(preprocessing(image, small, new StepMeter()))
    expect(shape).toEqual([1, 1, 4, 6])
    expect(samples.every((sample) => sample === 7)).toBe(true)
  })

  it('are refused where they would be too long for any model', () => {
    const image = { width: 20_000, height: 400, channels: 1 as const, data: new Uint8Array(8_000_000) }
    expect(() => finish(preprocessing(image, settings, new StepMeter()))).toThrow(/less narrow/)
  })
})
