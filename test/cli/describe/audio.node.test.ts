import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { guessTask } from '../../../src/cli/describe/guess.ts'
import { descriptionSchema } from '../../../src/cli/pack/description.ts'
import type { Signature } from '../../../src/core/tensors.ts'

const float = (name: string, ...shape: (number | string)[]) => ({ name, datatype: 'FP32' as const, shape })
const WAVES: Signature = { inputs: [float('input_values', 'batch', 'samples')], outputs: [float('logits', 'batch', 3)] }
const SILERO: Signature = {
  inputs: [float('input', -1, -1), float('state', 2, -1, 128), { name: 'sr', datatype: 'INT64', shape: [] }],
  outputs: [float('output', -1, 1), float('stateN', -1, -1, -1)],
}
const CONFIG = { architectures: ['HubertForSequenceClassification'], id2label: { 0: 'yes', 1: 'no', 2: 'other' } }
const EXTRACTOR = { feature_extractor_type: 'Wav2Vec2FeatureExtractor', sampling_rate: 16_000, do_normalize: true }

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-describe-audio-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function guess(
  contents: Readonly<Record<string, unknown>>,
  signature: Signature,
  said: Parameters<typeof guessTask>[2] = {},
) {
  const files = new Map<string, string>()
  for (const [name, content] of Object.entries(contents)) {
    const path = join(folder, name)
    await writeFile(path, JSON.stringify(content))
    files.set(name, path)
  }
  const outcome = await guessTask(files, signature, said)
  return 'problem' in outcome ? outcome.problem : outcome.value.fields
}

const described = (fields: object): boolean =>
  descriptionSchema.safeParse({
    name: 'm',
    version: '1',
    licence: 'MIT',
    artifacts: [{ file: 'm.onnx', dtype: 'fp32' }],
    ...fields,
  }).success

describe('a model for sounds', () => {
  it('is known by its architecture, with the settings of its feature extractor', async () => {
    const fields = await guess({ 'config.json': CONFIG, 'preprocessor_config.json': EXTRACTOR }, WAVES)
    expect(fields).toEqual({
      task: 'audio-classification',
      labels: ['yes', 'no', 'other'],
      activation: 'softmax',
      preprocess: { audio: { sampleRate: 16_000, normalize: true } },
    })
    expect(described(fields as object)).toBe(true)
  })

  it('takes as many samples as its input has', async () => {
    const fixed = { ...WAVES, inputs: [float('input_values', 1, 32_000)] }
    const files = { 'config.json': CONFIG, 'preprocessor_config.json': { ...EXTRACTOR, do_normalize: false } }
    expect(await guess(files, fixed)).toMatchObject({
      preprocess: { audio: { sampleRate: 16_000, normalize: false, samples: 32_000 } },
    })
  })

  it.each([
    ['has no settings', { 'config.json': CONFIG }],
    [
      'wants a spectrogram',
      { 'config.json': CONFIG, 'preprocessor_config.json': { feature_extractor_type: 'ASTFeatureExtractor' } },
    ],
  ])('is served as raw tensors where it %s', async (_, files) => {
    expect(await guess(files, WAVES)).toMatch(/no preprocessor_config\.json of a Wav2Vec2FeatureExtractor/)
  })

  it('names what it does not read of its feature extractor, and refuses what changes samples', async () => {
    const outcome = async (more: object) => {
      const path = join(folder, 'preprocessor_config.json')
      await writeFile(path, JSON.stringify({ ...EXTRACTOR, ...more }))
      await writeFile(join(folder, 'config.json'), JSON.stringify(CONFIG))
      const files = new Map(['config.json', 'preprocessor_config.json'].map((name) => [name, join(folder, name)]))
      const found = await guessTask(files, WAVES, {})
      return 'problem' in found ? found.problem : found.value.notes.join('\n')
    }
    const usual = { feature_size: 1, padding_side: 'right', padding_value: 0, return_attention_mask: true }
    expect(await outcome(usual)).not.toMatch(/Verge ignores|is ignored/)
    expect(await outcome({ denoise: true })).toMatch(/Verge ignores "denoise"/)
    expect(await outcome({ max_length: 16_000, truncation: true })).toMatch(
      /max_length is ignored[\s\S]*truncation is ignored/,
    )
    expect(await outcome({ feature_size: 80 })).toMatch(/several values per sample \(feature_size\)/)
  })

  it('is not taken for one that reads', async () => {
    const files = { 'config.json': { ...CONFIG, architectures: ['BertForSequenceClassification'] } }
    expect(await guess(files, WAVES)).not.toMatchObject({ task: 'audio-classification' })
  })

  it('is silero-vad if its tensors are named so', async () => {
    const fields = await guess({}, SILERO)
    expect(fields).toMatchObject({
      task: 'voice-activity-detection',
      preprocess: { audio: { sampleRate: 16_000, window: { length: 512, context: 64, rate: 'sr' } } },
    })
    expect(described(fields as object)).toBe(true)
  })

  it('is no voice detector for being called one', async () => {
    expect(await guess({}, WAVES, { task: 'voice-activity-detection' })).toMatch(/no file describes its audio windows/)
    expect(described({ task: 'voice-activity-detection', preprocess: { audio: { sampleRate: 16_000 } } })).toBe(false)
  })
})
