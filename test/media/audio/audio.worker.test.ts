import { describe, expect, it } from 'vitest'
import { isVergeError } from '../../../src/core/errors.ts'
import { speechSpans } from '../../../src/media/audio/speech.ts'
import { parseWav } from '../../../src/media/audio/wav.ts'
import { sine, type WavSpec, wav } from '../../../synthetic/wav.ts'
import { decodeAudio, resample } from '../../fixtures/all-at-once.ts'
import { codeOf } from '../../fixtures/http.ts'

const limits = { audioSeconds: 60, inputElements: 4 * 1024 * 1024 }
const at16k = { sampleRate: 16_000, normalize: false }
const decode = (bytes: Uint8Array): Float32Array => decodeAudio(bytes, at16k, limits)

/** The greatest difference between two signals, from `margin` on to `margin` before the end. */
function difference(a: ArrayLike<number>, b: ArrayLike<number>, margin = 0): number {
  let greatest = 0
  for (let i = margin; i < Math.min(a.length, b.length) - margin; i++) {
    greatest = Math.max(greatest, Math.abs((a[i] ?? 0) - (b[i] ?? 0)))
  }
  return greatest
}

describe('WAV', () => {
  const tone = sine(440, 0.1, 16_000)

  // Half a step of each encoding; single precision has 24 bits.
  it.each([
    ['u8', 1 / 256],
    ['i16', 1 / 65_536],
    ['i24', 2 ** -24],
    ['i32', 2 ** -25],
    ['f32', 2 ** -25],
    ['f64', 2 ** -25],
  ] as const)('%s is read, plain and extensible', (encoding, tolerance) => {
    for (const extensible of [false, true]) {
      const samples = decode(wav({ samples: tone, encoding, extensible }))
      expect(samples).toHaveLength(1600)
      expect(difference(samples, tone)).toBeLessThanOrEqual(tolerance * 1.001)
    }
  })

  it('reads the ends of each range', () => {
    const ends = [-1, 1]
    expect([...decode(wav({ samples: ends, encoding: 'u8' }))]).toEqual([-1, 127 / 128])
    expect([...decode(wav({ samples: ends, encoding: 'i16' }))]).toEqual([-1, 32_767 / 32_768])
    expect([...decode(wav({ samples: ends, encoding: 'i24' }))]).toEqual([-1, 8_388_607 / 8_388_608])
    expect([...decode(wav({ samples: ends, encoding: 'f32' }))]).toEqual([-1, 1])
  })

  it('makes one channel of several by their mean', () => {
    expect([...decode(wav({ samples: [0.5, -0.25, 0, 1, 0.5, 0.25], channels: 3, encoding: 'f32' }))]).toEqual([
      Math.fround(0.25 / 3),
      Math.fround(1.75 / 3),
    ])
  })

  it('skips other chunks, padded where their length is odd', () => {
    const between = [
      ['LIST', new TextEncoder().encode('INFOISFT\x05\0\0\0Lavf')],
      ['junk', new Uint8Array(3)],
    ] as const
    expect(difference(decode(wav({ samples: tone, between })), tone)).toBeLessThan(1e-4)
  })

  it('reads a file that a pipe wrote, whose length is unknown, up to its last whole frame', () => {
    const piped = wav({ samples: [0.5, 0.25, 0.125], channels: 1, dataSize: 0xffffffff })
    expect([...decode(piped)]).toEqual([0.5, 0.25, 0.125])
    expect([...decode(piped.subarray(0, piped.length - 1))]).toEqual([0.5, 0.25])
  })

  // As ffmpeg, sox and Python's wave read them: what is there.
  it.each<[string, Uint8Array, number[]]>([
    ['more samples are announced than there are', wav({ samples: [0.5, 0.25], dataSize: 48 }), [0.5, 0.25]],
    ['the file is cut off in a sample', wav({ samples: [0.5, 0.25] }).subarray(0, -1), [0.5]],
    ['the data end within a frame', wav({ samples: [0.5, 0.25], dataSize: 3 }), [0.5]],
    ['the length was never filled in', wav({ samples: [0.5, 0.25], dataSize: 0 }), [0.5, 0.25]],
  ])('reads what is there where %s', (_, file, expected) => {
    expect([...decode(file)]).toEqual(expected)
  })

  it('believes a length of 0 where other chunks follow to the end', () => {
    const file = wav({ samples: new Array<number>(10).fill(0.5), dataSize: 0 })
    const list = new TextEncoder().encode('LIST\x0c\0\0\0INFOICMT\0\0\0\0')
    file.set(list, 44)
    expect(codeOf(() => decode(file))).toBe('empty_input')
  })

  it('reads RF64 and BW64, whose lengths are in a chunk of their own', () => {
    const lengths = new Uint8Array(28)
    const view = new DataView(lengths.buffer)
    // Of the samples, in bytes: two of the four.
    view.setBigUint64(8, 4n, true)
    for (const kind of [0x52463634, 0x42573634]) {
      const spec: WavSpec = { samples: [0.5, 0.25, 0.125, 1], header: (header) => header.setUint32(0, kind) }
      const between = [['ds64', lengths]] as const
      expect([...decode(wav({ ...spec, between, dataSize: 0xffffffff }))]).toEqual([0.5, 0.25])
      // A small file may say its length where others do.
      expect([...decode(wav({ ...spec, between, dataSize: 6 }))]).toEqual([0.5, 0.25, 0.125])
      // Nothing says it: up to the end.
      expect([...decode(wav({ ...spec, dataSize: 0xffffffff }))]).toHaveLength(4)
    }
  })

  it('reads from a view into a larger buffer', () => {
    const file = wav({ samples: [0.5, 0.25] })
    const larger = new Uint8Array(file.length + 7)
    larger.set(file, 5)
    expect([...decode(larger.subarray(5, 5 + file.length))]).toEqual([0.5, 0.25])
  })

  const set = (edit: (view: DataView) => void): WavSpec => ({ samples: [0, 0, 0, 0], header: edit })
  it.each<[string, WavSpec, string]>([
    ['no channels', set((view) => view.setUint16(22, 0, true)), 'channels'],
    ['a thousand channels', set((view) => view.setUint16(22, 1000, true)), 'channels'],
    ['a rate of 0', set((view) => view.setUint32(24, 0, true)), 'sample rate'],
    ['a rate of 4 GHz', set((view) => view.setUint32(24, 0xffffffff, true)), 'sample rate'],
    ['frames of another size', set((view) => view.setUint16(32, 6, true)), 'block align'],
    ['0 bits', set((view) => view.setUint16(34, 0, true)), 'bits per sample'],
    ['float of 16 bits', set((view) => view.setUint16(20, 3, true)), 'bits per sample'],
    ['A-law', set((view) => view.setUint16(20, 6, true)), 'format'],
    ['a short fmt chunk', set((view) => view.setUint32(16, 8, true)), 'fmt'],
    ['a fmt chunk past the end', set((view) => view.setUint32(16, 0x7fffffff, true)), 'fmt'],
    ['RIFX', set((view) => view.setUint32(0, 0x52494658)), 'format'],
    ['an unknown sub-format', { ...set((view) => view.setUint8(50, 9)), extensible: true }, 'sub-format'],
    ['an extensible header of 16 bytes', set((view) => view.setUint16(20, 0xfffe, true)), 'fmt'],
    ['not a number', { samples: [0, Number.NaN], encoding: 'f32' }, 'data'],
    ['infinity in single precision', { samples: [1e300], encoding: 'f64' }, 'data'],
  ])('refuses %s and names the field', (_, spec, field) => {
    try {
      decode(wav(spec))
      expect.unreachable()
    } catch (error) {
      if (!isVergeError(error, 'invalid_audio')) throw error
      expect(error.details).toEqual({ field })
    }
  })

  it('answers for a file cut anywhere with a typed error', () => {
    const file = wav({ samples: tone.subarray(0, 10), between: [['LIST', new Uint8Array(9)]] })
    const samples = file.length - 20
    for (let length = 0; length < file.length; length++) {
      // In front of the samples, within the first one, and behind it.
      const expected = length < samples ? 'invalid_audio' : length < samples + 2 ? 'empty_input' : 'fine'
      expect(
        codeOf(() => decode(file.subarray(0, length))),
        `${length} bytes`,
      ).toBe(expected)
    }
  })

  it('is sound for any bytes in the header', () => {
    let seed = 1
    const random = (below: number): number => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff
      return seed % below
    }
    for (let round = 0; round < 3000; round++) {
      const file = wav({ samples: [0.1, 0.2, 0.3, 0.4], extensible: round % 2 === 0 })
      for (let edits = 0; edits < 3; edits++) file[random(file.length)] = random(256)
      expect(['fine', 'invalid_audio', 'empty_input', 'input_too_large']).toContain(codeOf(() => decode(file)))
    }
  })

  it('refuses what is too long by the header alone', () => {
    const wide = wav({ samples: new Float64Array(70 * 1000), encoding: 'u8', sampleRate: 1000 })
    expect(codeOf(() => decode(wide))).toBe('input_too_large')
    const short = wav({ samples: new Float64Array(50 * 1000), encoding: 'u8', sampleRate: 1000 })
    expect(codeOf(() => decodeAudio(short, { sampleRate: 192_000, normalize: false }, limits))).toBe('input_too_large')
  })

  it('refuses a file without samples', () => {
    expect(codeOf(() => decode(wav({ samples: [] })))).toBe('empty_input')
  })
})

describe('decoding for a model', () => {
  it('keeps silence silent, and finite where it is normalized', () => {
    const silence = wav({ samples: new Float64Array(100) })
    expect([...decode(silence)].every((sample) => sample === 0)).toBe(true)
    expect(
      [...decodeAudio(silence, { sampleRate: 16_000, normalize: true }, limits)].every((sample) => sample === 0),
    ).toBe(true)
  })

  it('normalizes to zero mean and unit variance', () => {
    const samples = decodeAudio(
      wav({ samples: [0.1, 0.3, 0.5, 0.7], encoding: 'f32' }),
      { sampleRate: 16_000, normalize: true },
      limits,
    )
    // By hand: mean 0.4, variance 0.05.
    const scale = 1 / Math.sqrt(0.05 + 1e-7)
    expect(difference(samples, [-0.3 * scale, -0.1 * scale, 0.1 * scale, 0.3 * scale])).toBeLessThan(1e-6)
  })

  it('cuts and pads to what a model takes', () => {
    const file = wav({ samples: [0.5, 0.25, 0.125] })
    expect([...decodeAudio(file, { ...at16k, samples: 2 }, limits)]).toEqual([0.5, 0.25])
    expect([...decodeAudio(file, { ...at16k, samples: 5 }, limits)]).toEqual([0.5, 0.25, 0.125, 0, 0])
  })
})

describe('resampling', () => {
  const source = (samples: Float64Array, sampleRate: number) => parseWav(wav({ samples, sampleRate, encoding: 'f64' }))

  // 44,101 Hz has no small ratio to 16 kHz; 11,025 has more phases than are tabulated.
  it.each([
    [44_100, 16_000],
    [48_000, 16_000],
    [8000, 16_000],
    [22_050, 16_000],
    [11_025, 16_000],
    [44_101, 16_000],
    [16_000, 44_100],
    [96_000, 8000],
    [384_000, 16_000],
  ])('gives a sine from %i Hz as it would have been sampled at %i Hz', (from, to) => {
    // Up to 80 % of the band that both rates have.
    for (const share of [0.01, 0.3, 0.8]) {
      const hertz = (share * Math.min(from, to)) / 2
      const result = resample(source(sine(hertz, 0.3, from), from), to)
      const exact = sine(hertz, 0.3, to)
      expect(Math.abs(result.length - exact.length)).toBeLessThanOrEqual(1)
      // The filter reaches 36 samples of the lower rate past either end, where the sine breaks off.
      expect(difference(result, exact, Math.ceil((40 * to) / Math.min(from, to)))).toBeLessThan(2e-4)
    }
  })

  it('lets nothing through that the lower rate cannot hold', () => {
    for (const hertz of [8100, 10_000, 15_000, 21_000]) {
      const result = resample(source(sine(hertz, 0.2, 44_100), 44_100), 16_000)
      // 0.5 less 70 dB.
      expect(difference(result, new Float32Array(result.length), 50)).toBeLessThan(0.5 * 10 ** -3.5)
    }
  })

  it('keeps a constant', () => {
    const result = resample(source(new Float64Array(4410).fill(0.7), 44_100), 16_000)
    expect(result).toHaveLength(1600)
    expect(difference(result, new Float64Array(1600).fill(0.7), 50)).toBeLessThan(1e-6)
  })

  it('is the same whether it is read in one block or in many', () => {
    const noise = Float64Array.from({ length: 30_000 }, (_, i) => Math.sin(i * i * 0.001))
    const whole = resample(source(noise, 44_100), 16_000)
    const part = resample(source(noise.slice(0, 20_000), 44_100), 16_000, 7000)
    expect(difference(whole.subarray(0, 7000), part)).toBe(0)
  })

  it('leaves samples of the right rate as they are', () => {
    const tone = sine(440, 0.5, 16_000)
    expect(difference(resample(source(tone, 16_000), 16_000), Float32Array.from(tone))).toBe(0)
  })

  it('takes a single sample', () => {
    expect(resample(source(Float64Array.of(0.5), 48_000), 16_000)).toHaveLength(1)
  })
})

describe('speech segments', () => {
  const rules = { threshold: 0.5, negThreshold: 0.35, minSpeech: 4000, minSilence: 1600, pad: 480 }
  /** Windows of 512 samples, spelt: S speech, s between the thresholds, _ silence. */
  const spans = (windows: string, more: Partial<typeof rules> = {}, samples = windows.length * 512) =>
    speechSpans(
      [...windows].map((window) => ({ S: 0.9, s: 0.4, _: 0.1 })[window] ?? 0),
      512,
      samples,
      { ...rules, ...more },
    ).map(({ start, end }) => [start, end])

  // Expected values were worked out by hand from silero-vad's get_speech_timestamps.
  it.each<[string, string, number[][]]>([
    ['silence', '______', []],
    ['speech throughout', 'SSSSSSSSSS', [[0, 5120]]],
    // It ends where silence began; five windows of silence are 2,560 samples.
    ['speech between silences', '__SSSSSSSSSS_____', [[2 * 512 - 480, 12 * 512 + 480]]],
    ['speech of seven windows, which is too short', '__SSSSSSS_____', []],
    ['speech of eight windows, which is not', '__SSSSSSSS_____', [[2 * 512 - 480, 10 * 512 + 480]]],
    ['a pause of three windows', 'SSSSS___SSSSS', [[0, 13 * 512]]],
    [
      'a pause of five windows',
      'SSSSSSSSS_____SSSSSSSSS',
      [
        [0, 9 * 512 + 480],
        [14 * 512 - 480, 23 * 512],
      ],
    ],
    // Between the thresholds neither speech begins nor silence.
    ['what is between the thresholds', 'ssssSSSSSSSSSssssssss', [[4 * 512 - 480, 21 * 512]]],
    ['silence that what is between the thresholds does not end', 'SSSSSSSSS_ssss_', [[0, 9 * 512 + 480]]],
  ])('are right for %s', (_, windows, expected) => {
    expect(spans(windows)).toEqual(expected)
  })

  it('share a silence that is too short for both paddings', () => {
    expect(spans('SSSSSSSSS_____SSSSSSSSS', { pad: 2000 })).toEqual([
      [0, 9 * 512 + 1280],
      [14 * 512 - 1280, 23 * 512],
    ])
  })

  it('end with the sound, not with its last window', () => {
    expect(spans('SSSSSSSSSS', {}, 4700)).toEqual([[0, 4700]])
  })
})
