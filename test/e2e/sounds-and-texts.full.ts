import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AutoFeatureExtractor, pipeline, type ZeroShotAudioClassificationPipeline } from '@huggingface/transformers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { manifestSchema } from '../../src/catalog/manifest.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { soundSide } from '../../src/tasks/two-encoders/sound.ts'
import { clapModel } from '../../synthetic/two-encoders.ts'
import { wav } from '../../synthetic/wav.ts'
import { robertaTokenizer } from '../fixtures/mask-tokenizers.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'
import { type TransformersFolder, transformersFolder } from '../fixtures/node/transformers-folder.ts'

/** Shares up to 1: spectrograms differ by TOLERANCE_DB, and sums have other orders. */
const TOLERANCE = 1e-4
/**
 * Decibels of bands above -90 dB. transformers.js rounds powers to single precision before it adds them up, and quiet
 * bands between loud ones keep what that leaves.
 */
const TOLERANCE_DB = 0.001
const FLOOR_DB = -90
const RATE = 48_000
/** A tenth of CLAP's ten seconds. */
const SAMPLES = 48_000
const FRAMES = 101

const BYTES = robertaTokenizer(readFileSync(join(ROOT, 'models/abacus/tokenizer.json'), 'utf8'))
const LABELS = ['two dogs', 'rain', 'a quiet film', 'what is left of a very long evening']

/** Tones whose pitch rises, with noise that is the same each time. */
function sound(seconds: number, seed: number): Float32Array {
  let state = seed
  return Float32Array.from({ length: Math.round(seconds * RATE) }, (_, i) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    const time = i / RATE
    return 0.4 * Math.sin(2 * Math.PI * (200 * seed + 900 * time) * time) + 0.05 * (state / 2 ** 31 - 1)
  })
}

/** As a WAV of 16 bits holds it, so that both sides hear the same samples. */
function sent(samples: Float32Array) {
  const bytes = wav({ samples: Float64Array.from(samples), sampleRate: RATE })
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const read = Float32Array.from(samples, (_, i) => view.getInt16(44 + 2 * i, true) / 32_768)
  return { bytes, read }
}

interface Scored {
  readonly label: string
  readonly score: number
}

describe('sounds and texts in a running Worker', () => {
  let worker: LiveWorker
  let folder: TransformersFolder
  let notes: readonly string[]
  let classify: ZeroShotAudioClassificationPipeline
  const settings = {
    sampleRate: RATE,
    normalize: false,
    samples: SAMPLES,
    spectrogram: {
      fft: 1024,
      hop: 480,
      mels: 64,
      minFrequency: 50,
      maxFrequency: 14_000,
      padding: 'repeatpad' as const,
    },
  }

  beforeAll(async () => {
    folder = await transformersFolder()
    const sizes = { frames: FRAMES, mels: 64, piece: 25 }
    await folder.add('clap', clapModel(sizes, { vocabulary: BYTES.size, positions: 64 }), {
      'config.json': {
        architectures: ['ClapModel'],
        model_type: 'clap',
        text_config: { max_position_embeddings: 66, model_type: 'roberta' },
      },
      'preprocessor_config.json': {
        feature_extractor_type: 'ClapFeatureExtractor',
        feature_size: 64,
        sampling_rate: RATE,
        fft_window_size: 1024,
        hop_length: 480,
        frequency_min: 50,
        frequency_max: 14_000,
        nb_max_samples: SAMPLES,
        nb_frequency_bins: 513,
        truncation: 'rand_trunc',
        padding: 'repeatpad',
        top_db: null,
      },
      'tokenizer.json': BYTES.file,
      'tokenizer_config.json': { tokenizer_class: 'RobertaTokenizer', model_max_length: 64, pad_token: '<pad>' },
    })
    worker = await startLiveWorker()
    const packed = await folder.packed('clap')
    notes = packed.notes
    expect(packed.manifest.audio).toEqual(settings)
    await publish(await writerFor(worker), packed)
    classify = await pipeline('zero-shot-audio-classification', 'clap', { dtype: 'fp32' })
  })
  afterAll(async () => {
    await worker?.dispose()
    await folder?.remove()
  })

  it('are described by the files of the hub', () => {
    expect(notes).toEqual(
      expect.arrayContaining([
        'task zero-shot-audio-classification, by its architecture ClapModel',
        'audio at 48000 Hz, as a spectrogram',
        expect.stringMatching(/^of a longer sound the beginning is used/),
      ]),
    )
  })

  it.each([1, 0.7, 0.3, 0.11])('have the spectrogram of transformers.js for %f s', async (seconds) => {
    const { bytes, read } = sent(sound(seconds, 3))
    const extract = await AutoFeatureExtractor.from_pretrained('clap')
    const { input_features: expected } = (await extract(read)) as {
      input_features: { dims: number[]; data: Float32Array }
    }
    const manifest = manifestSchema.parse({
      ...{ schema: 1, model: 'clap', version: '1', audio: settings, outputs: [], placement: 'origin', artifacts: [] },
      inputs: [{ name: 'input_features', datatype: 'FP32', shape: ['batch', 1, FRAMES, 64] }],
    })
    const file = () => Promise.reject(new Error('no file is read'))
    const own = await soundSide(bytes, { manifest, file }, LIMITS).read()
    expect(own.shape).toEqual(expected.dims)
    let compared = 0
    for (const [i, decibels] of expected.data.entries()) {
      if (decibels < FLOOR_DB) continue
      compared++
      expect(Math.abs(Number(own.data[i]) - decibels), `${i}: ${decibels}`).toBeLessThan(TOLERANCE_DB)
    }
    // Silence behind whole repetitions is left out.
    expect(compared).toBeGreaterThan(0.65 * expected.data.length)
  })

  it('are sorted by labels as transformers.js sorts them', async () => {
    for (const [seconds, seed] of [
      [1, 1],
      [0.4, 2],
      [0.9, 5],
    ] as const) {
      const { bytes, read } = sent(sound(seconds, seed))
      const expected = (await classify(read, LABELS)) as Scored[]
      const query = new URLSearchParams(LABELS.map((label): [string, string] => ['candidate_labels', label]))
      const headers = { 'content-type': 'audio/wav' }
      const response = await fetch(`${worker.url}/run/clap?${query}`, { method: 'POST', body: bytes, headers })
      const own = (await response.json()) as Scored[]
      expect(response.status, JSON.stringify(own)).toBe(200)
      expect(own.map(({ label }) => label)).toEqual(
        expected.toSorted((a, b) => b.score - a.score).map(({ label }) => label),
      )
      for (const { label, score } of expected) {
        expect(Math.abs((own.find((each) => each.label === label)?.score ?? 0) - score), label).toBeLessThan(TOLERANCE)
      }
      expect((own[0]?.score ?? 0) - (own.at(-1)?.score ?? 0)).toBeGreaterThan(0.01)
    }
  })

  it('take a sound in JSON, at other rates, and the beginning of a longer one', async () => {
    const ask = async (bytes: Uint8Array) => {
      const inputs = Buffer.from(bytes).toString('base64')
      const body = JSON.stringify({ inputs, parameters: { candidate_labels: LABELS.join(', ') } })
      const headers = { 'content-type': 'application/json' }
      const response = await fetch(`${worker.url}/models/clap`, { method: 'POST', body, headers })
      expect(response.status).toBe(200)
      return (await response.json()) as Scored[]
    }
    const long = sent(sound(2, 2))
    const beginning = sent(sound(2, 2).subarray(0, SAMPLES))
    expect(await ask(long.bytes)).toEqual(await ask(beginning.bytes))
    expect(await ask(wav({ samples: new Float64Array(800).fill(0.1), sampleRate: 8_000 }))).toHaveLength(LABELS.length)
  })
})
