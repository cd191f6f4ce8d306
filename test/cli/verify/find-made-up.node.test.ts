import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { sizedInputs } from '../../../src/cli/measure/sizes.ts'
import { readSamples } from '../../../src/cli/samples/read.ts'
import { inputCandidates } from '../../../src/cli/verify/candidates.ts'
import { findSamples } from '../../../src/cli/verify/find.ts'
import { referenceSession } from '../../../src/cli/verify/reference.ts'
import type { Signature, TensorSpec } from '../../../src/core/tensors.ts'
import { recogniserModel, samplesModel, speechModel, unguessableModel } from '../../fixtures/odd-inputs.ts'
import { SILERO_WINDOW } from '../../fixtures/silero.ts'

const signal = new AbortController().signal
const SILERO = {
  audio: {
    sampleRate: 16_000,
    normalize: false,
    window: SILERO_WINDOW,
  },
}

const spec = (name: string, datatype: TensorSpec['datatype'], shape: TensorSpec['shape']): TensorSpec => ({
  name,
  datatype,
  shape,
})
const shapesOf = (signature: Signature, settings = {}) =>
  inputCandidates({ signature, bounds: new Map(), settings }).map(({ shapes }) => [...shapes.values()])

describe('inputs made up for a model', () => {
  it('are a second of sound at the rate of its settings, and shorter ones', async () => {
    const settings = { audio: { sampleRate: 8_000, normalize: true } }
    const [sample] = await findSamples(samplesModel(), { count: 1, seed: 1, settings, signal })
    expect(sample?.inputs.get('input_values')?.shape).toEqual([1, 8_000])
    const sizes = await sizedInputs(samplesModel(), [], signal, settings)
    expect(sizes.map(({ elements }) => elements)).toEqual([2_000, 4_000, 8_000])
  })

  it('are long enough for convolutions over 400 samples, without settings too', async () => {
    const [sample] = await findSamples(samplesModel(), { count: 1, seed: 1, signal })
    expect(sample?.inputs.get('input_values')?.data.length).toBeGreaterThanOrEqual(400)
  })

  it('are a line of text where a height other than 32 fails', async () => {
    const [sample] = await findSamples(recogniserModel(), { count: 1, seed: 1, signal })
    expect(sample?.inputs.get('x')?.shape).toEqual([1, 1, 32, 128])
  })

  it('come in several widths for a model that takes one height, so that its cost grows with them', async () => {
    const samples = await findSamples(recogniserModel(), { count: 1, seed: 1, signal })
    const sizes = await sizedInputs(recogniserModel(), samples, signal)
    expect(sizes.map(({ inputs }) => inputs.get('x')?.shape)).toEqual([
      [1, 1, 32, 128],
      [1, 1, 32, 256],
      [1, 1, 32, 512],
    ])
  })

  it('are a window, a state and a rate as the settings name them', async () => {
    const [sample] = await findSamples(speechModel(), { count: 1, seed: 1, settings: SILERO, signal })
    expect([...(sample?.inputs ?? [])].map(([name, { shape }]) => [name, shape])).toEqual([
      ['input', [1, 576]],
      ['state', [2, 1, 128]],
      ['sr', []],
    ])
    expect(sample?.inputs.get('sr')?.data).toEqual(BigInt64Array.of(16_000n))
  })

  it('give a state one row for one example, without settings too', async () => {
    const [sample] = await findSamples(speechModel(), { count: 1, seed: 1, signal })
    expect(sample?.inputs.get('state')?.shape).toEqual([2, 1, 128])
  })

  it('have the size of the settings first, and pixels scaled as they say', () => {
    const signature = { inputs: [spec('x', 'FP32', ['b', 'h', 'w', 3])], outputs: [] }
    const image = {
      mode: 'RGB' as const,
      size: [20, 30] as [number, number],
      fit: 'stretch' as const,
      rescale: 1 / 255,
      mean: [0.5, 0.25, 0],
      std: [0.5, 1, 2],
      layout: 'NHWC' as const,
    }
    const [maker] = inputCandidates({ signature, bounds: new Map(), settings: { image } })
    const x = maker?.make({ count: 1, seed: 1 })[0]?.inputs.get('x')
    expect(x?.shape).toEqual([1, 20, 30, 3])
    const channel = (c: number) => Array.from(x?.data as Float32Array).filter((_, i) => i % 3 === c)
    // Bytes from 0 to 255: (v / 255 - mean) / std of each channel.
    for (const [c, least, most] of [
      [0, -1, 1],
      [1, -0.25, 0.75],
      [2, 0, 0.5],
    ] as const) {
      expect(Math.min(...channel(c))).toBeGreaterThanOrEqual(least - 1e-6)
      expect(Math.min(...channel(c))).toBeLessThan(least + 0.1 * (most - least))
      expect(Math.max(...channel(c))).toBeLessThanOrEqual(most + 1e-6)
      expect(Math.max(...channel(c))).toBeGreaterThan(most - 0.1 * (most - least))
    }
    const scaled = maker?.make({ count: 1, seed: 1, scale: 3 })[0]?.inputs.get('x')
    expect(scaled?.data[7]).toBeCloseTo(3 * Number(x?.data[7]), 5)
  })

  it('try channels first and last, three and one, where nothing says which', () => {
    const shapes = shapesOf({ inputs: [spec('x', 'FP32', [-1, -1, -1, -1])], outputs: [] })
    expect(shapes.slice(0, 4)).toEqual([[[1, 3, 64, 64]], [[1, 1, 64, 64]], [[1, 64, 64, 3]], [[1, 64, 64, 1]]])
    expect(new Set(shapes.map((shape) => JSON.stringify(shape))).size).toBe(shapes.length)
  })

  it('give a decoder caches of one length, and a mask over past and present', () => {
    const cache = (part: string) =>
      spec(`past_key_values.0.${part}`, 'FP32', ['batch_size', 3, 'past_sequence_length', 8])
    const signature = {
      inputs: [
        spec('input_ids', 'INT64', ['batch_size', 'sequence_length']),
        spec('attention_mask', 'INT64', ['batch_size', 'past_sequence_length + sequence_length']),
        cache('key'),
        cache('value'),
      ],
      outputs: [],
    }
    expect(shapesOf(signature).slice(0, 2)).toEqual([
      [
        [1, 16],
        [1, 32],
        [1, 3, 16, 8],
        [1, 3, 16, 8],
      ],
      [
        [1, 16],
        [1, 16],
        [1, 3, 0, 8],
        [1, 3, 0, 8],
      ],
    ])
  })

  it('are no longer than the texts that a model takes', () => {
    const signature = { inputs: [spec('input_ids', 'INT64', ['batch', 'sequence'])], outputs: [] }
    const [first, ...others] = shapesOf(signature, { text: { maxTokens: 8 } })
    expect([first, others[0], others[1]]).toEqual([[[1, 8]], [[1, 1]], [[1, 2]]])
  })
})

describe('a model that runs on nothing that was made up', () => {
  it('is told with what was tried and why it failed, and a line that writes samples which can be read', async () => {
    const error = await findSamples(unguessableModel(), { count: 1, seed: 1, signal }).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'run_rejected' })
    const { message } = error as Error
    expect(message).toMatch(
      /^The model accepted none of the \d+ inputs that Verge generated:\n {2}length 16; length 1;/,
    )
    expect(message).toMatch(
      /length 48000: matmul_helper.*left operand cannot broadcast|length 48000: .*MatMul dimension mismatch/,
    )
    expect(message).toMatch(/--no-verify --no-measure/)
    const line = /^ {2}(node -e .*)$/m.exec(message)?.[1] ?? ''
    const folder = await mkdtemp(join(tmpdir(), 'verge-samples-'))
    try {
      // As its reader would: the size changed to what the model takes.
      execFileSync('sh', ['-c', line.replace('[1,16]', '[1,1013]')], { cwd: folder })
      const session = await referenceSession(unguessableModel(), signal)
      const { inputs, outputs } = session.signature
      const manifest = { model: 'm', version: '1', inputs: inputs as never, outputs: outputs as never }
      const [sample] = await readSamples(join(folder, 'requests.jsonl'), { manifest })
      const answer = await session.run(sample?.inputs ?? new Map(), { outputs: ['y'], signal })
      expect(answer.get('y')?.shape).toEqual([1, 2])
      session.dispose()
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
