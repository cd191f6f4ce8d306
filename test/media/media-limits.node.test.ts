import { describe, expect, it } from 'vitest'
import type { ImageSettings } from '../../src/catalog/manifest.ts'
import { isVergeError } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { StepMeter, type Work } from '../../src/core/work.ts'
import { decodingAudio } from '../../src/media/audio/decode.ts'
import { preprocessing } from '../../src/media/image/preprocess.ts'
import { pictureWork } from '../../src/tasks/pictures/input.ts'
import { png } from '../../synthetic/png.ts'
import { wav } from '../../synthetic/wav.ts'
import {
  chunkedWebp,
  emptyBlocks,
  fullJpeg,
  losslessWebp,
  noisyWebp,
  repeatedPng,
  type ScanKind,
  scannedJpeg,
  segmentedJpeg,
} from '../../synthetic/worst-media.ts'

const MiB = 1024 * 1024
const SETTINGS: ImageSettings = {
  mode: 'RGB',
  size: [224, 224],
  fit: 'stretch',
  resample: 'bilinear',
  rescale: 1,
  layout: 'NCHW',
}

/** What a request for this file would do before its run, to its end or to its refusal. */
function read(work: Work<unknown>) {
  let steps = 0
  let costliest = 0
  try {
    for (let next = work.next(); !next.done; next = work.next()) {
      steps += next.value
      costliest = Math.max(costliest, next.value)
    }
    return { outcome: 'fine', steps, costliest }
  } catch (error) {
    if (!isVergeError(error)) throw error
    return { outcome: error.code, message: error.message, steps, costliest }
  }
}

const picture = (file: Uint8Array, settings: Partial<ImageSettings> = SETTINGS) => {
  expect(file.length).toBeLessThanOrEqual(LIMITS.imageBytes)
  return read(pictureWork(file, LIMITS, (image, meter) => preprocessing(image, { ...SETTINGS, ...settings }, meter)))
}

const scans = (count: number): ScanKind[] => [
  ...[0, 1, 2].map((component): ScanKind => ({ component, kind: 'dc' })),
  ...Array.from({ length: count }, (_, i): ScanKind => ({ component: i % 3, kind: 'ac again' })),
]
const three = [0x11, 0x11, 0x11]

describe('the costliest files within the limits', () => {
  // What cameras and programs write is read at any size that is allowed.
  it.each<[string, () => Uint8Array]>([
    ['a PNG of 4 million pixels of 64 bits, interlaced', () => large(2048, 2048, 16, 6, true)],
    ['a PNG of 32 million pixels with opacity', () => large(8192, 4096, 8, 6, false)],
    [
      'a JPEG of 28 million pixels with all coefficients',
      () => fullJpeg({ width: 7000, height: 4000, factors: [0x11] }),
    ],
    [
      'a progressive JPEG of 24 million pixels in 10 scans',
      () => scannedJpeg({ width: 6000, height: 4000, factors: [0x22, 0x11, 0x11], scans: scans(7) }),
    ],
    ['a lossy WebP of 12 million pixels', () => noisyWebp(4000, 3000, 60)],
    ['a lossless WebP', () => losslessWebp(1400, 1400, 13)],
    ['8 MiB of JPEG segments', () => segmentedJpeg('comments', 7 * MiB)],
    ['7 MiB of WebP chunks', () => chunkedWebp(7 * MiB)],
  ])('%s is read within the budget', (_, make) => {
    const { outcome, steps } = picture(make())
    expect(outcome).toBe('fine')
    expect(steps).toBeLessThanOrEqual(LIMITS.decodeSteps)
  })

  it.each<[string, () => Uint8Array, RegExp, Partial<ImageSettings>]>([
    [
      'a progressive JPEG of 32 million pixels in 32 scans',
      () => scannedJpeg({ width: 8000, height: 4000, factors: three, scans: scans(29) }),
      /progressive, 32 scans/,
      {},
    ],
    [
      'a PNG of many empty blocks',
      () => png({ width: 64, height: 64, depth: 8, colour: 2 }, emptyBlocks('wide', 3 * MiB)),
      /too many compressed blocks/,
      {},
    ],
    ['a lossy WebP of 16 million pixels and 8 MB', () => noisyWebp(4096, 4096, 105), /4096 x 4096 pixels/, {}],
    [
      'a narrow picture for a wide model',
      () => large(64, 65_535, 8, 2, false),
      /64 x 65535 pixels/,
      { size: [1024, 1024], resample: 'lanczos' },
    ],
  ])('%s is refused within the budget', (_, make, message, settings) => {
    const { outcome, steps, ...refused } = picture(make(), settings)
    expect(outcome).toBe('input_too_large')
    expect(refused.message).toMatch(message)
    expect(refused.message).toMatch(/the limit is 1000 million/)
    expect(steps).toBeLessThanOrEqual(LIMITS.decodeSteps)
  })

  it.each<[string, number, number, 'u8' | 'i16']>([
    ['4 kHz, 938 KB', 4_000, 938_000, 'u8'],
    ['33,333 Hz, 8 MB', 33_333, 7_999_000, 'u8'],
    ['a rate that nothing divides', 34_949, 8_380_000, 'u8'],
    ['44.1 kHz', 44_100, 4_190_000, 'i16'],
    ['384 kHz', 384_000, 8_380_000, 'u8'],
  ])('a sound of %s is read within the budget', (_, sampleRate, frames, encoding) => {
    const file = wav({ samples: new Float32Array(frames), sampleRate, encoding })
    expect(file.length).toBeLessThanOrEqual(LIMITS.audioBytes)
    const meter = new StepMeter(LIMITS.decodeSteps)
    const { outcome, steps, costliest } = read(
      decodingAudio(file, { sampleRate: 16_000, normalize: true }, LIMITS, meter),
    )
    expect(outcome).toBe('fine')
    expect(steps).toBeLessThanOrEqual(LIMITS.decodeSteps)
    expect(costliest).toBeLessThan(LIMITS.stepsBetweenPauses)
  })
})

function large(width: number, height: number, depth: number, colour: number, interlaced: boolean): Uint8Array {
  return repeatedPng({ width, height, depth, colour, interlaced }, 4)
}
