import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { ImageSettings, Manifest } from '../../src/catalog/manifest.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { VergeError } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { finish, StepMeter } from '../../src/core/work.ts'
import { decodingAudio } from '../../src/media/audio/decode.ts'
import { parsingCsv } from '../../src/media/csv/parse.ts'
import { decodingImage } from '../../src/media/image/decode.ts'
import { preprocessing } from '../../src/media/image/preprocess.ts'
import { TextTokenizer } from '../../src/media/text/tokenizer.ts'
import { readInferRequest } from '../../src/protocols/oip/read-request.ts'
import { wav } from '../../synthetic/wav.ts'
import { damageArtifacts } from '../fixtures/node/verge-damage.ts'
import { damageTokenizers } from '../fixtures/tokenizer-damage.ts'

/**
 * Whatever parses a stranger's bytes answers with a value or a typed error, in bounded time, on any bytes. `FUZZ_ROUNDS`
 * says how many are tried of each kind, and `FUZZ_SEED` which.
 */
const ROUNDS = Number(process.env.FUZZ_ROUNDS ?? 20_000)
const SEED = Number(process.env.FUZZ_SEED ?? 0x5eed)

/** xorshift32: the same mutations in every run. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** Flips, overwrites, cuts, repeats and inserts at random places. */
function mutate(original: Uint8Array, random: (below: number) => number): Uint8Array<ArrayBuffer> {
  let bytes = new Uint8Array(original)
  const changes = 1 + random(6)
  for (let change = 0; change < changes && bytes.length > 0; change++) {
    const at = random(bytes.length)
    switch (random(5)) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8))
        break
      case 1:
        bytes[at] = [0, 1, 0x7f, 0x80, 0xff, random(256)][random(6)] ?? 0
        break
      case 2:
        bytes = bytes.slice(0, at)
        break
      case 3:
        bytes.copyWithin(at, random(bytes.length))
        break
      default:
        bytes = Uint8Array.from([...bytes.subarray(0, at), random(256), ...bytes.subarray(at)])
    }
  }
  return bytes
}

function fuzz(
  samples: readonly Uint8Array[],
  use: (bytes: Uint8Array<ArrayBuffer>) => void,
  rounds = ROUNDS,
): { refused: number } {
  const random = randomFrom(SEED)
  let refused = 0
  for (let round = 0; round < rounds; round++) {
    const bytes = mutate(samples[round % samples.length] ?? new Uint8Array(0), random)
    try {
      use(bytes)
    } catch (error) {
      if (!(error instanceof VergeError)) {
        throw new Error(`round ${round}: ${String(error)} on ${Buffer.from(bytes).toString('base64')}`, {
          cause: error,
        })
      }
      refused++
    }
  }
  return { refused }
}

const encoder = new TextEncoder()
const pictures = join(ROOT, 'models/digits/samples')

describe(`fuzz, ${ROUNDS} rounds each`, () => {
  const fixture = (name: string): unknown => JSON.parse(readFileSync(join(ROOT, 'test/fixtures', name), 'utf8'))
  const files = (name: string): Uint8Array[] =>
    base64Strings(fixture(name)).map((text) => new Uint8Array(Buffer.from(text, 'base64')))
  const isPng = (bytes: Uint8Array): boolean => bytes[0] === 0x89
  const isJpeg = (bytes: Uint8Array): boolean => bytes[0] === 0xff && bytes[1] === 0xd8
  const isWebp = (bytes: Uint8Array): boolean => String.fromCharCode(...bytes.subarray(8, 12)) === 'WEBP'
  const photos = ['five.png', 'photo.png'].map((name) => new Uint8Array(readFileSync(join(pictures, name))))
  const settings: ImageSettings = {
    ...{ mode: 'RGB', size: [16, 12], fit: 'crop', resample: 'bilinear', rescale: 1, layout: 'NCHW' },
  }

  /** As a task reads it: priced, in pieces, turned, and made into what a model gets. */
  const picture = (bytes: Uint8Array): void => {
    const meter = new StepMeter(LIMITS.decodeSteps)
    const options = { maxPixels: 100_000, maxFullPixels: 400_000, maxScans: LIMITS.jpegScans }
    let told = 0
    const work = (function* () {
      const { fullHeight, fullWidth, ...raster } = yield* decodingImage(bytes, options, meter)
      if (raster.data.length !== raster.width * raster.height * raster.channels) throw new Error('samples are missing')
      if (fullWidth < raster.width || fullHeight < raster.height) throw new Error('the picture has grown')
      return yield* preprocessing(raster, settings, meter)
    })()
    let next = work.next()
    for (; !next.done; next = work.next()) told += next.value
    if (next.value.samples.length !== 3 * 16 * 12) throw new Error('the tensor has another size')
    if (told > meter.spent) throw new Error('more steps were told than were counted')
  }

  it.each([
    ['PNG', [...photos, ...files('pil-images.json').filter(isPng)]],
    ['PNG with EXIF', files('device-images.json').filter(isPng)],
    ['JPEG', files('pil-images.json').filter(isJpeg)],
    ['JPEG without tables, arithmetic-coded and turned', files('device-images.json').filter(isJpeg)],
    ['WebP', files('pil-webp.json').filter(isWebp)],
    ['animated WebP', files('device-images.json').filter(isWebp)],
  ])('%s', (_, samples) => {
    expect(samples.length).toBeGreaterThan(1)
    const { refused } = fuzz(samples, picture)
    expect(refused).toBeGreaterThan(ROUNDS / 20)
    expect(refused).toBeLessThan(ROUNDS)
  })

  // Ten times as many as of the others, a tenth at a time: a million by `npm run fuzz`.
  it.each(Array.from({ length: 10 }, (_, part) => SEED + part))(
    "plans and images of Verge's own engine, with seed %i",
    async (seed) => {
      const { refused, rejected, ran } = await damageArtifacts(ROUNDS, seed)
      expect(refused + rejected + ran).toBe(ROUNDS)
      expect(Math.min(refused, rejected, ran)).toBeGreaterThan(ROUNDS / 100)
    },
  )

  it.each(Array.from({ length: 10 }, (_, part) => SEED + part))('compiled tokenizers, with seed %i', (seed) => {
    const { failed, refused, worked } = damageTokenizers(ROUNDS, seed)
    expect(failed + refused + worked).toBe(ROUNDS)
    expect(Math.min(refused, worked)).toBeGreaterThan(ROUNDS / 20)
  })

  it('WAV, RF64 and unfinished', () => {
    const samples = Float32Array.from({ length: 90 }, (_, i) => Math.sin(i))
    const info = ['LIST', new Uint8Array(3)] as const
    const ds64 = Uint8Array.from({ length: 28 }, (_, i) => (i === 8 ? 180 : 0))
    const large = wav({ samples, dataSize: 0xffffffff, between: [['ds64', ds64]] })
    large.set(encoder.encode('RF64'))
    const sounds = [
      wav({ samples, encoding: 'u8', sampleRate: 4_001 }),
      wav({ samples, encoding: 'i24', channels: 2, extensible: true, between: [info] }),
      wav({ samples, encoding: 'f64', sampleRate: 44_100 }),
      wav({ samples, dataSize: 0, between: [info] }),
      large,
    ]
    const { refused } = fuzz(sounds, (bytes) => {
      const meter = new StepMeter(LIMITS.decodeSteps)
      const model = { sampleRate: 16_000, normalize: true, samples: 400 }
      const heard = finish(decodingAudio(bytes, model, { audioSeconds: 10, inputElements: 400_000 }, meter))
      if (heard.length !== 400 || !heard.every(Number.isFinite)) throw new Error('what is heard is no sound')
    })
    expect(refused).toBeGreaterThan(ROUNDS / 20)
    expect(refused).toBeLessThan(ROUNDS)
  })

  it('CSV with commas, semicolons and tabs', () => {
    const tables = [
      'a,b,c\n1,2,3\n"x ""y""","l\r\nm",\n',
      'a;b;c\r\n1,5;"2;3";\r\n;;\r\n',
      'sep=\t\na\tb\tc\n1\t2\t3\n',
      '\ufeffa\tb\tc\n"1"\t"2"\t"3"',
    ].map((text) => encoder.encode(text))
    const limits = { maxColumns: 4, maxRows: 6, maxCells: 20, maxCellLength: 20 }
    const { refused } = fuzz(tables, (bytes) => {
      const meter = new StepMeter()
      const text = new TextDecoder().decode(bytes)
      const { columns, header, rows } = finish(parsingCsv(text, limits, { names: ['a', 'b', 'c'] }, meter))
      if (columns.length !== header.length || columns.some(({ length }) => length !== rows)) throw new Error('no table')
      // Each separator is tried once, and then the text is read.
      if (meter.spent > 4 * 70 * (text.length + 2)) throw new Error(`${meter.spent} steps`)
    })
    expect(refused).toBeGreaterThan(ROUNDS / 20)
    expect(refused).toBeLessThan(ROUNDS)
  })

  const manifest: Manifest = {
    schema: 1,
    model: 'fuzzed',
    version: '1',
    inputs: [
      { name: 'numbers', datatype: 'INT32', shape: ['n', 2] },
      { name: 'words', datatype: 'BYTES', shape: ['n'] },
    ],
    outputs: [{ name: 'out', datatype: 'FP32', shape: ['n'] }],
    artifacts: [
      { id: 'a', format: 'onnx', dtype: 'fp32', places: ['edge'], sha256: '0'.repeat(64), bytes: 0, chunks: [] },
    ],
  }

  it('inference requests in JSON', () => {
    const body = encoder.encode(
      JSON.stringify({
        id: 'x',
        inputs: [
          {
            name: 'numbers',
            datatype: 'INT32',
            shape: [2, 2],
            data: [
              [1, -2],
              [3, 4],
            ],
          },
          { name: 'words', datatype: 'BYTES', shape: [2], data: ['one', 'two'] },
        ],
        outputs: [{ name: 'out' }],
      }),
    )
    const { refused } = fuzz([body], (bytes) => readInferRequest(bytes, undefined, manifest, LIMITS))
    expect(refused).toBeGreaterThan(ROUNDS / 2)
    expect(refused).toBeLessThan(ROUNDS)
  })

  it('inference requests in binary', () => {
    const header = encoder.encode(
      JSON.stringify({
        inputs: [
          { name: 'numbers', datatype: 'INT32', shape: [2, 2], parameters: { binary_data_size: 16 } },
          { name: 'words', datatype: 'BYTES', shape: [2], parameters: { binary_data_size: 12 } },
        ],
      }),
    )
    const words = Uint8Array.from([3, 0, 0, 0, 97, 98, 99, 1, 0, 0, 0, 100])
    const body = Uint8Array.from([...header, ...new Uint8Array(16), ...words])
    const { refused } = fuzz([body], (bytes) => readInferRequest(bytes, header.length, manifest, LIMITS))
    expect(refused).toBeGreaterThan(ROUNDS / 2)
    expect(refused).toBeLessThan(ROUNDS)
  })

  it('texts', () => {
    const tokenizer = TextTokenizer.parse(new Uint8Array(readFileSync(join(ROOT, 'models/reviews/tokenizer.json'))))
    const sample = encoder.encode(
      'A naïve film — 日本語, 🙂 <br /> "quoted" ... and don’t [CLS] [PAD] \u0000\u0007\u202e end',
    )
    const { refused } = fuzz([sample], (bytes) => {
      const { ids } = tokenizer.encode(new TextDecoder().decode(bytes), 64)
      if (ids.length === 0 || ids.length > 64) throw new Error(`${ids.length} tokens`)
    })
    expect(refused).toBe(0)
  })

  const tokenizers = (): unknown[] => {
    const { cases } = fixture('tokenizers-rust.json') as { readonly cases: Readonly<Record<string, { file: unknown }>> }
    return Object.values(cases).map(({ file }) => file)
  }

  it('pairs of texts, with every kind of tokenizer', () => {
    const all = tokenizers().map((file) => TextTokenizer.parse(encoder.encode(JSON.stringify(file))))
    const sample = encoder.encode(
      'e\u0301\u0e33 \ufb01x\u0316\u0301 \ud55c\u11a8 the \u2581cat\u0085 \u{1f642}<0x41> ab',
    )
    let round = 0
    const { refused } = fuzz([sample], (bytes) => {
      const text = new TextDecoder().decode(bytes)
      const tokenizer = all[round++ % all.length]
      if (tokenizer === undefined) throw new Error('there are no tokenizers')
      for (const { end, start } of tokenizer.tokens(text)) {
        if (!(start >= 0 && start <= end && end <= text.length)) throw new Error(`a token at ${start} to ${end}`)
      }
      if (!tokenizer.readsPairs) return
      const most = 1 + (round % 24)
      const { ids } = tokenizer.encodePair(text, text.slice(text.length >> 1), most)
      if (ids.length > Math.max(most, tokenizer.specialTokens(true))) throw new Error(`${ids.length} tokens`)
    })
    expect(refused).toBe(0)
  })

  it('tokenizer files', () => {
    const samples = tokenizers().map((file) => encoder.encode(JSON.stringify(file)))
    const use = (bytes: Uint8Array): void => {
      const tokenizer = TextTokenizer.parse(bytes)
      for (const { id } of tokenizer.tokens('the cat e\u0301 \u2460x')) tokenizer.tokenText(id)
    }
    const rounds = ROUNDS / 10
    const { refused } = fuzz(samples, use, rounds)
    expect(refused).toBeGreaterThan(rounds / 20)
    expect(refused).toBeLessThan(rounds)
  })
})

/** Every string of base64 in a JSON value. */
function base64Strings(value: unknown): string[] {
  if (typeof value === 'string') return /^[A-Za-z0-9+/]{40,}=*$/.test(value) ? [value] : []
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value).flatMap(base64Strings)
}
