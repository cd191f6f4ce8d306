import { describe, expect, it, vi } from 'vitest'
import { isVergeError } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { finish, StepMeter, type Work, WorkLane } from '../../src/core/work.ts'
import { decodingAudio } from '../../src/media/audio/decode.ts'
import { bytesFromBase64 } from '../../src/media/base64.ts'
import { parsingCsv } from '../../src/media/csv/parse.ts'
import { decodingImage } from '../../src/media/image/decode.ts'
import { normalizingGlyph } from '../../src/media/image/glyph.ts'
import { resizing } from '../../src/media/image/resize.ts'
import { readMultipart } from '../../src/tasks/shared/request-body.ts'
import { png, pngChunk } from '../../synthetic/png.ts'
import { wav } from '../../synthetic/wav.ts'
import {
  chunkedWebp,
  compressedAlpha,
  emptyBlocks,
  fullJpeg,
  losslessWebp,
  noise,
  noisyWebp,
  repeatedPng,
  type ScanKind,
  scannedJpeg,
  segmentedJpeg,
  writtenPng,
} from '../../synthetic/worst-media.ts'
import { ManualClock, settle, testContext } from '../fixtures/clock.ts'

/** What reading something of a size costs; `n` is the size of the smaller one. */
type Reader = (size: number, meter: StepMeter) => Work<unknown>

const picture =
  (make: (size: number) => Uint8Array): Reader =>
  (size, meter) =>
    decodingImage(make(size), { maxPixels: 1e6, maxFullPixels: 8e6, maxScans: 64 }, meter)

const sound =
  (rate: number, encoding: 'u8' | 'i16' | 'i24' | 'i32' | 'f32' | 'f64', channels = 1, extensible = false): Reader =>
  (size, meter) => {
    const samples = new Float32Array(size * channels).fill(0.25)
    const file = wav({ samples, sampleRate: rate, encoding, channels, extensible })
    const settings = { sampleRate: 16_000, normalize: true }
    return decodingAudio(file, settings, { audioSeconds: 1e4, inputElements: 1e8 }, meter)
  }

const table =
  (text: (size: number) => string): Reader =>
  (size, meter) => {
    const limits = { maxColumns: 4_096, maxRows: 1e6, maxCells: 1e7, maxCellLength: 1e7 }
    return parsingCsv(text(size), limits, {}, meter)
  }

const raster = (width: number, height: number) =>
  ({ width, height, channels: 3, data: noise(3 * width * height) }) as const

const scans = (count: number, kind: ScanKind['kind']): ScanKind[] => [
  ...[0, 1, 2].map((component): ScanKind => ({ component, kind: 'dc' })),
  ...Array.from({ length: count }, (_, i): ScanKind => ({ component: i % 3, kind })),
]

const READERS: Readonly<Record<string, readonly [Reader, number]>> = {
  ...Object.fromEntries(
    [0, 1, 2, 3, 4].map((filter) => [
      `PNG, filter ${filter}`,
      [picture((n) => repeatedPng({ width: 100, height: n, depth: 8, colour: 2 }, filter)), 400],
    ]),
  ),
  ...Object.fromEntries(
    [
      [0, 1],
      [0, 2],
      [0, 4],
      [0, 8],
      [0, 16],
      [2, 8],
      [2, 16],
      [3, 1],
      [3, 2],
      [3, 4],
      [3, 8],
      [4, 8],
      [4, 16],
      [6, 8],
      [6, 16],
    ].flatMap(([colour = 0, depth = 8]) =>
      [false, true].map((interlaced) => [
        `PNG, colour type ${colour} of ${depth} bits${interlaced ? ', interlaced' : ''}`,
        [picture((n) => repeatedPng({ width: 100, height: n, depth, colour, interlaced }, 4)), 400],
      ]),
    ),
  ),
  'PNG, decoded smaller': [picture((n) => repeatedPng({ width: 2000, height: n, depth: 8, colour: 6 }, 4)), 1100],
  'PNG, written byte by byte': [
    picture((n) => writtenPng({ width: 100, height: n, depth: 8, colour: 2 }, 4, false)),
    100,
  ],
  'PNG, written three by three': [
    picture((n) => writtenPng({ width: 100, height: n, depth: 8, colour: 2 }, 4, true)),
    100,
  ],
  ...Object.fromEntries(
    (['stored', 'fixed', 'small', 'wide', 'full'] as const).map((kind) => [
      `PNG of empty blocks, ${kind}`,
      [picture((n) => png({ width: 9, height: 9, depth: 8, colour: 2 }, emptyBlocks(kind, n))), 20_000],
    ]),
  ),
  'PNG of many chunks': [
    picture((n) => {
      const empty = Array.from({ length: n }, () => pngChunk('tEXt', new Uint8Array(0)))
      return png({ width: 1, height: 1, depth: 8, colour: 0 }, emptyBlocks('stored', 10), empty)
    }),
    5_000,
  ],
  'JPEG, all coefficients': [picture((n) => fullJpeg({ width: 64, height: n, factors: [0x11, 0x11, 0x11] })), 256],
  'JPEG, all coefficients, 4:2:0': [
    picture((n) => fullJpeg({ width: 64, height: n, factors: [0x22, 0x11, 0x11] })),
    256,
  ],
  'JPEG, CMYK': [picture((n) => fullJpeg({ width: 64, height: n, factors: [0x11, 0x11, 0x11, 0x11] })), 256],
  'JPEG, decoded smaller': [picture((n) => fullJpeg({ width: 1600, height: n, factors: [0x11] })), 800],
  ...Object.fromEntries(
    (['dc again', 'ac', 'ac again'] as const).map((kind) => [
      `JPEG of many scans, ${kind}`,
      [picture((n) => scannedJpeg({ width: 64, height: 64, factors: [0x11, 0x11, 0x11], scans: scans(n, kind) })), 24],
    ]),
  ),
  'JPEG of many scans, by its pixels': [
    picture((n) => scannedJpeg({ width: 64, height: n, factors: [0x11, 0x11, 0x11], scans: scans(24, 'ac again') })),
    256,
  ],
  'JPEG of many scans, decoded smaller': [
    picture((n) => scannedJpeg({ width: 1600, height: n, factors: [0x11, 0x11, 0x11], scans: scans(9, 'ac again') })),
    800,
  ],
  'JPEG, arithmetic, to the end of a short file': [
    picture((n) => fullJpeg({ width: 64, height: n, factors: [0x11, 0x11, 0x11], marker: 0xc9 })),
    256,
  ],
  ...Object.fromEntries(
    (['comments', 'tables', 'exif'] as const).map((what) => [
      `JPEG of many segments, ${what}`,
      [picture((n) => segmentedJpeg(what, n)), 50_000],
    ]),
  ),
  'WebP, lossy': [picture((n) => noisyWebp(256, n, 300)), 256],
  'WebP, lossy, decoded smaller': [picture((n) => noisyWebp(1600, n, 30)), 800],
  'WebP, lossy with opacity': [picture((n) => noisyWebp(256, n, 300, compressedAlpha(256, n, 13))), 256],
  ...Object.fromEntries(
    [1, 11, 12, 13].map((mode) => [`WebP, lossless, mode ${mode}`, [picture((n) => losslessWebp(128, n, mode)), 128]]),
  ),
  'WebP of many chunks': [picture(chunkedWebp), 50_000],
  'a large picture to a small one': [(n, meter) => resizing(raster(256, n), 64, 64, 'lanczos', meter), 256],
  'a narrow picture to a wide one': [(n, meter) => resizing(raster(8, n), 512, 512, 'lanczos', meter), 4_096],
  'a small picture to a large one': [(n, meter) => resizing(raster(8, 8), 256, n, 'bicubic', meter), 256],
  'a picture to its nearest samples': [(n, meter) => resizing(raster(8, 8), 256, n, 'nearest', meter), 256],
  'a drawing to its box': [(n, meter) => normalizingGlyph(raster(256, n), 28, 28, 20, meter), 512],
  ...Object.fromEntries(
    (['u8', 'i16', 'i24', 'i32', 'f32', 'f64'] as const).flatMap((encoding) =>
      [false, true].map((extensible) => [
        `WAV, ${encoding}${extensible ? ', extensible' : ''}`,
        [sound(16_000, encoding, 1, extensible), 20_000],
      ]),
    ),
  ),
  'WAV at 4 kHz': [sound(4_000, 'u8'), 5_000],
  'WAV at 1 kHz': [sound(1_000, 'u8'), 2_000],
  'WAV at 1,001 Hz': [sound(1_001, 'u8'), 2_000],
  'WAV at 33,333 Hz': [sound(33_333, 'i16'), 30_000],
  'WAV at 384 kHz': [sound(384_000, 'u8'), 400_000],
  'WAV of 32 channels': [sound(16_000, 'u8', 32), 5_000],
  'CSV of empty lines': [table((n) => `a\n1\n${'\n'.repeat(n)}`), 50_000],
  'CSV of short cells': [table((n) => `a,b\n${'1,2\n'.repeat(n)}`), 5_000],
  'CSV of one long cell': [table((n) => `a\n${'x'.repeat(n)}`), 50_000],
  'CSV of doubled quotes': [table((n) => `a\n${`"${'""'.repeat(1_000)}"\n`.repeat(n)}`), 50],
  'CSV of line ends in quotes': [table((n) => `a\n"${'\n'.repeat(n)}"`), 50_000],
}

/** How a piece of work ended, what it cost, and the costliest of its pieces. */
function costOf(reader: Reader, size: number, limit = Number.POSITIVE_INFINITY) {
  const meter = new StepMeter(limit)
  let costliest = 0
  let outcome = 'fine'
  try {
    const work = reader(size, meter)
    for (let next = work.next(); !next.done; next = work.next()) costliest = Math.max(costliest, next.value)
  } catch (error) {
    if (!isVergeError(error)) throw error
    outcome = error.code
  }
  return { steps: meter.spent, costliest, outcome }
}

describe('what reading costs, with the costliest content of each kind', () => {
  it.each(Object.entries(READERS))('%s grows as its input does', (_, [reader, size]) => {
    const [once, twice] = [costOf(reader, size), costOf(reader, 2 * size)]
    expect(once.steps).toBeGreaterThan(0)
    expect(twice.steps).toBeLessThanOrEqual(2.5 * once.steps)
    // And it does grow: something counts.
    expect(twice.steps).toBeGreaterThan(1.3 * once.steps)
  })

  it.each(Object.entries(READERS))('%s comes in pieces', (_, [reader, size]) => {
    // A piece that grew with its input would hold the event loop for as long as the input likes.
    const { costliest, steps } = costOf(reader, 8 * size)
    expect(costliest).toBeLessThanOrEqual(Math.max(LIMITS.stepsBetweenPauses, steps / 4))
  })

  it.each(Object.entries(READERS))('%s ends where its budget does', (_, [reader, size]) => {
    const { steps } = costOf(reader, size)
    const cut = costOf(reader, size, steps / 2)
    expect(cut.outcome).toBe('input_too_large')
    expect(cut.steps).toBeLessThanOrEqual(steps)
  })
})

describe('reading in a Worker, whose clock stands still', () => {
  const context = testContext()
  const lane = (clock: ManualClock) => new WorkLane({ clock, stepsBetweenPauses: 1_000_000, leaseMs: 1_000 })
  const large: Reader = picture((n) => repeatedPng({ width: 1000, height: n, depth: 8, colour: 2 }, 4))

  it('gives the same picture as all at once, with turns of the event loop in between', async () => {
    const clock = new ManualClock()
    let turns = 0
    const counting = {
      now: () => clock.now(),
      after: clock.after.bind(clock),
      sleep: (ms: number, signal?: AbortSignal) => {
        turns++
        return clock.sleep(ms, signal)
      },
    }
    const meter = new StepMeter()
    const done = new WorkLane({ clock: counting, stepsBetweenPauses: 1_000_000, leaseMs: 1_000 }).perform(
      large(500, meter),
      context.signal,
    )
    await clock.advance(0)
    expect(await done).toEqual(finish(large(500, new StepMeter())))
    // A piece is less than half a million steps.
    expect(turns).toBeGreaterThan(meter.spent / 1_500_000)
  })

  it('is over when the caller has left, long before its end', async () => {
    const clock = new ManualClock()
    const caller = testContext()
    const meter = new StepMeter()
    const done = lane(clock).perform(large(500, meter), caller.signal)
    await settle()
    caller.abort()
    await expect(done).rejects.toMatchObject({ code: 'cancelled' })
    expect(meter.spent).toBeLessThan(2_000_000)
  })
})

describe('work that is put in order by its cost', () => {
  it.each<[string, Reader, number]>([
    ['PNG', picture((n) => repeatedPng({ width: 500, height: n, depth: 8, colour: 2 }, 4)), 500],
    ['JPEG', picture((n) => fullJpeg({ width: n, height: 400, factors: [0x11] })), 400],
    ['WebP', picture((n) => noisyWebp(n, 256, 50)), 256],
    ['lossless WebP', picture((n) => losslessWebp(n, 300, 12)), 300],
    ['sound at another rate', sound(44_100, 'i16', 2), 100_000],
    ['sound at its own rate', sound(16_000, 'i16'), 100_000],
  ])('a %s says its cost in its first piece, and is not decoded in it', (_, reader, size) => {
    const meter = new StepMeter()
    const work = reader(size, meter)
    expect(work.next().done).toBe(false)
    const { required, spent } = meter
    expect(spent).toBeLessThan(required / 20)
    finish(work)
    expect(meter.spent).toBeGreaterThan(required / 4)
  })
})

describe('what is priced before anything is decoded', () => {
  const options = { maxPixels: 4e6, maxFullPixels: 32e6, maxScans: 64 }
  const refused = (bytes: Uint8Array, limit: number) => {
    const meter = new StepMeter(limit)
    try {
      finish(decodingImage(bytes, options, meter))
    } catch (error) {
      if (isVergeError(error, 'input_too_large')) return { message: error.message, details: error.details, meter }
      throw error
    }
    throw new Error('it was taken')
  }

  it('says what was found, what is allowed and what to do', () => {
    const jpeg = scannedJpeg({ width: 640, height: 640, factors: [0x11, 0x11, 0x11], scans: scans(40, 'ac again') })
    const { message, details, meter } = refused(jpeg, 30_000_000)
    expect(message).toMatch(
      /^This JPEG \(640 x 640 pixels, progressive, 43 scans, \d+ bytes\) takes \d+ million steps to read; the limit is 30 million\. Send a smaller image, or save it as a baseline JPEG\.$/,
    )
    expect(details).toMatchObject({ limit_steps: 30_000_000 })
    // Only the segments were walked through.
    expect(meter.spent).toBeLessThan(100_000)
  })

  it.each([
    [
      'PNG',
      repeatedPng({ width: 1500, height: 1500, depth: 16, colour: 6, interlaced: true }, 4),
      /1500 x 1500 pixels of 64 bits/,
    ],
    ['JPEG', fullJpeg({ width: 800, height: 800, factors: [0x11] }), /800 x 800 pixels, 1 components/],
    ['WebP', noisyWebp(1024, 1024, 50), /1024 x 1024 pixels/],
    ['lossless WebP', losslessWebp(300, 300, 12), /300 x 300 pixels/],
  ])('a %s', (_, bytes, message) => {
    const found = refused(bytes, 6_000_000)
    expect(found.message).toMatch(message)
    expect(found.meter.spent).toBeLessThan(6_000_000)
  })

  it('a sound, by its rate and its length', () => {
    const meter = new StepMeter(10_000_000)
    const work = sound(44_100, 'i16', 2)(400_000, meter)
    expect(() => finish(work)).toThrow(/400000 samples of 2 channels at 44100 Hz, for a model of 16000 Hz/)
    expect(meter.spent).toBe(0)
  })
})

describe('a table before its first row', () => {
  const limits = { maxColumns: 100, maxRows: 100, maxCells: 1_000, maxCellLength: 1_000 }
  const refusedTable = (text: string) => {
    const meter = new StepMeter()
    try {
      finish(parsingCsv(text, limits, {}, meter))
    } catch (error) {
      if (isVergeError(error)) return { code: error.code, steps: meter.spent }
      throw error
    }
    throw new Error('it was taken')
  }

  it('counts what looking for a separator takes, in the beginning of the header alone', () => {
    const [short, long] = [400_000, 4_000_000].map((n) => refusedTable(`${'a'.repeat(900)},"${'\n'.repeat(n)}`))
    expect(short?.steps).toBeGreaterThan(900)
    expect(long?.steps).toBe(short?.steps)
  })

  it('refuses a cell where it has become too long, and makes nothing of it', () => {
    // Both are malformed farther on, which would be told by whoever reads them to their ends.
    expect(refusedTable(`a\n"${'""'.repeat(10_000)}`).code).toBe('input_too_large')
    expect(refusedTable(`a\n${'x'.repeat(10_000)}"`).code).toBe('input_too_large')
    expect(refusedTable(`"${'""'.repeat(10_000)}`).code).toBe('input_too_large')
  })
})

describe('what has no steps of its own', () => {
  it('a PNG of many pieces of data is put together without an object for each', () => {
    const whole = repeatedPng({ width: 60, height: 60, depth: 8, colour: 2 }, 4)
    const options = { maxPixels: 4e6, maxScans: 64 }
    const from = 8 + 25
    const length = new DataView(whole.buffer).getUint32(from)
    const data = Array.from(whole.subarray(from + 8, from + 8 + length), (byte) =>
      pngChunk('IDAT', Uint8Array.of(byte)),
    )
    const cut = Uint8Array.from([...whole.subarray(0, from), ...data.flatMap((piece) => [...piece])])
    const views = vi.spyOn(Uint8Array.prototype, 'subarray')
    finish(decodingImage(whole, options, new StepMeter()))
    const once = views.mock.calls.length
    const pieces = finish(decodingImage(cut, options, new StepMeter()))
    const again = views.mock.calls.length - once
    views.mockRestore()
    expect(data.length).toBeGreaterThan(50)
    expect(again).toBe(once)
    expect(pieces).toEqual(finish(decodingImage(whole, options, new StepMeter())))
  })

  it('base64 is what atob takes, and nothing else', () => {
    let seed = 1
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
      return (seed >>> 8) % below
    }
    const characters = 'ABab01+/-_== \n\t\f\r'
    for (let round = 0; round < 5_000; round++) {
      let text = ''
      for (let i = random(14); i > 0; i--) text += random(40) === 0 ? '*é\v'[random(3)] : characters[random(17)]
      let expected: Uint8Array | undefined
      try {
        expected = Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0))
      } catch {
        expected = undefined
      }
      expect(bytesFromBase64(text), JSON.stringify(text)).toEqual(expected)
    }
  })

  it('a form of many parts is refused before any of them is made', async () => {
    const part = '--x\r\ncontent-disposition: form-data; name="file"\r\n\r\n\r\n'
    const form = (count: number, boundary = 'x') =>
      readMultipart(
        new Uint8Array(new TextEncoder().encode(`${part.repeat(count)}--x--\r\n`)),
        `multipart/form-data; boundary=${boundary}`,
        LIMITS,
      )
    await expect(form(17)).rejects.toThrow(/more than 16 parts/)
    await expect(form(1, 'x'.repeat(71))).rejects.toThrow(/a boundary of 1 to 70/)
    await expect(readMultipart(new Uint8Array(0), 'multipart/form-data', LIMITS)).rejects.toThrow(
      /a boundary of 1 to 70/,
    )
  })
})
