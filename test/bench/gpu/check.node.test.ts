import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type CheckedEngine, type GpuCheckOptions, gpuCheck } from '../../../bench/gpu/check.ts'
import { distance, TOLERANCE } from '../../../bench/gpu/compare.ts'
import { readDevice } from '../../../bench/gpu/devices.ts'
import { faultsOf, gpuTable, isGpu, noGpu, UNPROVEN } from '../../../bench/gpu/report.ts'
import type { ProviderResult } from '../../../bench/gpu/result.ts'
import { pictures, texts } from '../../../bench/gpu/subjects.ts'
import { machine } from '../../../bench/lib/machine.ts'
import { decoderModel } from '../../../bench/models/decoder.ts'
import { encoderModel } from '../../../bench/models/encoder.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import type { Logger } from '../../../src/core/runtime.ts'
import { systemClock } from '../../../src/core/runtime.ts'
import { type Tensors, tensor } from '../../../src/core/tensors.ts'
import type { Engine, Session } from '../../../src/engine/engine.ts'
import { decodeModel, encodeModel } from '../../../src/onnx/codec.ts'
import { never } from '../../../synthetic/source.ts'
import { loadNative, nativeEngine } from '../../fixtures/node/native.ts'

const SMALL = { layers: 1, hidden: 8, heads: 2, ffn: 16, vocabulary: 30_000, positions: 256 }
const ONNX_FLOAT = 1
const DEVICE = { name: 'NVIDIA H200', driver: '570.1', usedBytes: 1e9, totalBytes: 1e11 }
const encoder = { name: 'encoder', bytes: async () => encoderModel(SMALL, 'fp32'), tolerance: TOLERANCE }

interface Faults {
  /** What becomes of an answer. */
  readonly spoil?: (answer: Tensors) => Tensors
  readonly spoilLogits?: (logits: Float32Array) => Float32Array
  /** What the engine says of its provider. */
  readonly missing?: string
  /** Why a model ran on the processor. */
  readonly fallback?: string
}

/** The reference engine under the name of a provider, with faults. */
function pretending(
  provider: string,
  { fallback, missing, spoil, spoilLogits }: Faults,
  logger: Logger,
): CheckedEngine {
  const engine: Engine = nativeEngine()
  return {
    name: engine.name,
    supports: (artifact) => engine.supports(artifact),
    async load(artifact, source, context) {
      if (fallback !== undefined) logger.warn('provider_fallback', { reason: fallback })
      const session = await engine.load(artifact, source, context)
      return spoilt(session, spoil, spoilLogits)
    },
    health: async () => ({
      ...(await engine.health()),
      ...(missing === undefined ? { provider } : { provider: 'cpu', detail: missing }),
    }),
    async close() {},
  }
}

function spoilt(session: Session, spoil: Faults['spoil'], spoilLogits: Faults['spoilLogits']): Session {
  return {
    signature: session.signature,
    bytes: session.bytes,
    get alive() {
      return session.alive
    },
    async run(inputs, options) {
      const answer = await session.run(inputs, options)
      return spoil?.(answer) ?? answer
    },
    generate: (prompt, options) =>
      session.generate?.(prompt, {
        ...options,
        choose: (logits) => options.choose(spoilLogits?.(logits) ?? logits),
      }) ?? emptySequence(),
    dispose: () => session.dispose(),
  }
}

async function* emptySequence(): AsyncGenerator<number> {}

function check(faults: Faults, more: Partial<GpuCheckOptions> = {}): Promise<readonly ProviderResult[]> {
  return gpuCheck({
    providers: ['cuda'],
    engine: (provider, logger) => pretending(provider, provider === 'cpu' ? {} : faults, logger),
    subjects: [
      {
        name: 'digits',
        bytes: async () => new Uint8Array(await readFile(join(ROOT, 'models/digits/model.onnx'))),
        tolerance: TOLERANCE,
        cases: [pictures('image', 2, [1, 28, 28])],
      },
    ],
    batched: encoder,
    writer: { ...encoder, name: 'decoder', bytes: async () => decoderModel(SMALL) },
    clock: systemClock,
    limitMs: 60_000,
    rounds: 2,
    measureMs: 1_000,
    device: async () => undefined,
    say() {},
    ...more,
  })
}

describe('the check of a GPU', () => {
  it('agrees where the provider answers as the processor does, and merges runs', async () => {
    const results = await check({})
    expect(faultsOf(results, DEVICE)).toEqual([])
    expect(results.map(({ provider }) => provider)).toEqual(['cpu', 'cuda'])
    expect(results.some(isGpu)).toBe(true)
    const table = gpuTable(results, { date: '2026-11-30', device: DEVICE, machine: machine() })
    expect(table.title).toContain('NVIDIA H200')
    const cuda = table.rows.filter(([provider]) => provider === 'cuda')
    expect(cuda.map(([, what, , , , apart]) => [what, apart])).toEqual([
      ['digits, 2 x 1 x 28 x 28', '0.0e+0 (0.01)'],
      ['encoder, 32 callers, 16 tokens, one by one', '0.0e+0 (0.01)'],
      ['encoder, 32 callers, 16 tokens, batches of up to 32', expect.stringMatching(/e-\d+ \(0.01\)|^0.0e\+0/)],
      ['decoder, prompt of 128 tokens', ''],
      ['decoder, 48 tokens one by one', '0.0e+0 (0.01)'],
      ['encoder, loaded and unloaded 6 times', ''],
    ])
  })

  it('runs nothing where the provider is missing, and says what is unproven', async () => {
    const results = await check({ missing: 'no library' })
    expect(results).toEqual([{ provider: 'cuda', ran: false, reason: 'no library' }])
    expect(results.some(isGpu)).toBe(false)
    expect(noGpu(results)).toMatch(/^no GPU: unproven\n {2}cuda: no library\nNot checked:\n {2}answers/)
    expect(faultsOf(results, undefined)).toEqual([])
    // a GPU that is there and is not used
    expect(faultsOf(results, DEVICE)).toEqual([
      'there is a GPU (NVIDIA H200), and no provider runs on it',
      'cuda: no library',
    ])
  })

  it('finds wrong answers: of runs, of batches, of generated texts', async () => {
    const results = await check({ spoil: swapped, spoilLogits: (logits) => logits.map((value) => value * 1.05) })
    const found = faultsOf(results, DEVICE).join('\n')
    expect(found).toMatch(/cuda: digits, 2 x 1 x 28 x 28: its answer is .* away/)
    expect(found).toMatch(/cuda: encoder, 32 callers, 16 tokens, batches of up to 32: .*away/)
    expect(found).toMatch(/cuda: decoder, 48 tokens one by one: its answer is 5.0e-2 away/)
  })

  it('finds a model that ran on the processor after all', async () => {
    const found = faultsOf(await check({ fallback: 'no kernel for Softmax' }), DEVICE)
    expect(found).toContain('cuda: digits ran on the processor: no kernel for Softmax')
  })

  it('finds a device whose memory grows with every load', async () => {
    let usedBytes = 0
    const device = async () => {
      usedBytes += 1e6
      return { ...DEVICE, usedBytes }
    }
    const found = faultsOf(await check({}, { device }), DEVICE)
    expect(found[0]).toMatch(/^cpu: encoder, loaded and unloaded 6 times: the device grew by 7.0 MB/)
    expect(found.some((line) => line.startsWith('cuda: encoder, loaded'))).toBe(true)
  })

  it('begins nothing when its time is over, and says so', async () => {
    const results = await check({}, { limitMs: 0 })
    expect(faultsOf(results, DEVICE)).toContain('cuda: generation, decoder was not checked: the time is over')
  })
})

describe('the distance from the answer of the processor', () => {
  const rows = (...values: number[]): Tensors =>
    new Map([['y', tensor('FP32', [2, values.length / 2], Float32Array.from(values))]])

  it('is that of the worst row', () => {
    expect(distance(rows(3, 4, 100, 0), rows(3, 4, 100, 1))).toBeCloseTo(0.01)
    expect(distance(rows(3, 4, 100, 0), rows(3, 4.05, 100, 0))).toBeCloseTo(0.01)
    expect(distance(rows(1, 2, 3, 4), rows(1, 2, 3, 4))).toBe(0)
  })

  it('is infinite where there is nothing to compare', () => {
    expect(distance(rows(1, 2, 3, 4), new Map())).toBe(Number.POSITIVE_INFINITY)
    expect(distance(rows(1, 2, 3, 4), rows(1, 2))).toBe(Number.POSITIVE_INFINITY)
    expect(distance(rows(1, 2, 3, 4), rows(1, 2, 3, Number.NaN))).toBe(Number.POSITIVE_INFINITY)
    expect(distance(rows(0, 0, 0, 0), rows(0, 0, 0, 1))).toBe(Number.POSITIVE_INFINITY)
  })

  it('allows the rounding of TF32, and not two items that are swapped', async () => {
    const exact = await loadNative(encoderModel(SMALL, 'fp32'))
    const rounded = await loadNative(roundedWeights(encoderModel(SMALL, 'fp32')))
    const { inputs } = texts(4, 64)
    const run = (session: Session) => session.run(inputs, { signal: never() })
    const expected = await run(exact)
    const found = distance(expected, await run(rounded))
    expect(found).toBeGreaterThan(0)
    expect(found).toBeLessThan(TOLERANCE)
    expect(distance(expected, swapped(expected))).toBeGreaterThan(10 * TOLERANCE)
  })
})

it("reads nvidia-smi's answer", () => {
  expect(readDevice('NVIDIA H200, 570.86.15, 1024, 143771\n')).toEqual({
    name: 'NVIDIA H200',
    driver: '570.86.15',
    usedBytes: 1024 * 2 ** 20,
    totalBytes: 143_771 * 2 ** 20,
  })
  expect(readDevice('')).toBeUndefined()
  expect(readDevice('NVIDIA-SMI has failed because it could not communicate with the driver.')).toBeUndefined()
})

it('docs/origin/gpu.md says that the providers are unproven, or has the table of a run', async () => {
  const text = await readFile(join(ROOT, 'docs/origin/gpu.md'), 'utf8')
  const [, section = ''] = /<!-- gpu check: begin -->\n\n(.*)\n\n<!-- gpu check: end -->/s.exec(text) ?? []
  expect(section === UNPROVEN || section.startsWith('**Checked on ')).toBe(true)
  expect(text).toContain(String(TOLERANCE))
})

/** A model whose weights have the 10 bits behind the point that TF32 has. */
function roundedWeights(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const model = decodeModel(bytes)
  for (const { dataType, rawData } of model.graph?.initializer ?? []) {
    if (dataType !== ONNX_FLOAT || rawData === undefined) continue
    const view = new DataView(rawData.buffer, rawData.byteOffset, rawData.byteLength)
    for (let at = 0; at < rawData.length; at += 4) {
      // To the nearest: half of the last bit that stays is added, and the bits below are cut off.
      view.setUint32(at, ((view.getUint32(at, true) + 0x1000) & 0xffffe000) >>> 0, true)
    }
  }
  return encodeModel(model)
}

/** The rows of every output in another order. */
function swapped(answer: Tensors): Tensors {
  return new Map(
    [...answer].map(([name, value]) => {
      if (value.datatype !== 'FP32') return [name, value]
      const half = value.data.length / 2
      return [
        name,
        tensor('FP32', value.shape, Float32Array.of(...value.data.subarray(half), ...value.data.subarray(0, half))),
      ]
    }),
  )
}
