import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Manifest } from '../../src/catalog/manifest.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { VergeError } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { parseInferRequest } from '../../src/http/oip/request.ts'
import { decodeImage } from '../../src/media/image/decode.ts'
import { TextTokenizer } from '../../src/media/text/tokenizer.ts'

/** Whatever parses a stranger's bytes answers with a value or a typed error, in bounded time, on any bytes. */
const ROUNDS = 20_000

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

function fuzz(samples: readonly Uint8Array[], use: (bytes: Uint8Array<ArrayBuffer>) => void): { refused: number } {
  const random = randomFrom(0x5eed)
  let refused = 0
  for (let round = 0; round < ROUNDS; round++) {
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
  it('PNG', () => {
    const samples = ['five.png', 'photo.png'].map((name) => new Uint8Array(readFileSync(join(pictures, name))))
    const { refused } = fuzz(samples, (bytes) => decodeImage(bytes, { maxPixels: 200_000, maxScans: LIMITS.jpegScans }))
    expect(refused).toBeGreaterThan(ROUNDS / 10)
    expect(refused).toBeLessThan(ROUNDS)
  })

  it('JPEG', () => {
    const cases = JSON.parse(readFileSync(join(ROOT, 'test/fixtures/pil-images.json'), 'utf8')) as unknown
    const samples = base64Strings(cases)
      .map((text) => new Uint8Array(Buffer.from(text, 'base64')))
      .filter((bytes) => bytes[0] === 0xff && bytes[1] === 0xd8)
    expect(samples.length).toBeGreaterThan(0)
    const { refused } = fuzz(samples, (bytes) => decodeImage(bytes, { maxPixels: 200_000, maxScans: LIMITS.jpegScans }))
    expect(refused).toBeGreaterThan(ROUNDS / 10)
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
    const { refused } = fuzz([body], (bytes) => parseInferRequest(bytes, undefined, manifest, LIMITS))
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
    const { refused } = fuzz([body], (bytes) => parseInferRequest(bytes, header.length, manifest, LIMITS))
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
})

/** Every string of base64 in a JSON value. */
function base64Strings(value: unknown): string[] {
  if (typeof value === 'string') return /^[A-Za-z0-9+/]{40,}=*$/.test(value) ? [value] : []
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value).flatMap(base64Strings)
}
