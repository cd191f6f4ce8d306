import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BUILD_OPTIONS, buildSettings } from '../../../src/cli/build/arguments.ts'
import { loadModel } from '../../../src/cli/build/load.ts'
import { describeLoaded } from '../../../src/cli/build/samples.ts'
import { parseCommand } from '../../../src/cli/command.ts'
import { descriptionSchema } from '../../../src/cli/pack/description.ts'
import type { Datatype, Signature } from '../../../src/core/tensors.ts'
import { decodeModel, encodeModel } from '../../../src/onnx/codec.ts'
import { onnxModel } from '../../../synthetic/onnx.ts'
import { bertTokenizer } from '../../fixtures/http-tokenizer.ts'
import { type Sources, startSources, TOKENIZER } from '../../fixtures/node/describe.ts'

type Spec = readonly [name: string, datatype: Datatype, ...shape: (number | string)[]]
const like = (inputs: readonly Spec[], outputs: readonly Spec[]): Signature => ({
  inputs: inputs.map(([name, datatype, ...shape]) => ({ name, datatype, shape })),
  outputs: outputs.map(([name, datatype, ...shape]) => ({ name, datatype, shape })),
})
const IDS: Spec[] = [
  ['input_ids', 'INT64', 'batch', 'length'],
  ['attention_mask', 'INT64', 'batch', 'length'],
]
const PAIR: Spec[] = [
  ['logits_per_image', 'FP32', 'images', 'texts'],
  ['logits_per_text', 'FP32', 'texts', 'images'],
]

let sources: Sources
beforeEach(async () => {
  sources = await startSources()
})
afterEach(() => sources.remove())

describe('a model of texts with the preset of a family', () => {
  it.each([
    [
      'splade',
      like(IDS, [['logits', 'FP32', 'batch', 'length', 6946]]),
      { embedding: { normalize: false, sparse: { output: 'logits', form: 'logits' } } },
    ],
    ['bge-m3', like(IDS, [['last_hidden_state', 'FP32', 'batch', 'length', 64]]), { embedding: { pooling: 'cls' } }],
    [
      'bge-m3',
      like(IDS, [
        ['dense_vecs', 'FP32', 'batch', 64],
        ['sparse_vecs', 'FP32', 'batch', 'length', 1],
        ['colbert_vecs', 'FP32', 'batch', 'length', 64],
      ]),
      { embedding: { output: 'dense_vecs', sparse: { output: 'sparse_vecs', form: 'weights' } } },
    ],
    [
      'clip-vit',
      like([...IDS, ['pixel_values', 'FP32', 'images', 3, 'height', 'width']], PAIR),
      { image: { fit: 'crop', size: [224, 224], resample: 'bicubic' }, text: { maxTokens: 77 } },
    ],
    [
      'siglip',
      like([IDS[0] ?? ['input_ids', 'INT64'], ['pixel_values', 'FP32', 'images', 3, 224, 224]], PAIR),
      {
        image: { fit: 'stretch', size: [224, 224], mean: [0.5, 0.5, 0.5] },
        text: { maxTokens: 64, padding: { length: 64, token: '[PAD]' } },
      },
    ],
  ] as const)('%s', async (family, signature, preprocess) => {
    const files = { 'tokenizer.json': TOKENIZER, 'tokenizer_config.json': { pad_token: '[PAD]' } }
    const { description } = await sources.describe(files, signature, { family })
    expect(descriptionSchema.safeParse(description).error).toBeUndefined()
    expect(description.preprocess).toMatchObject(preprocess)
    expect(description.tokenizer).toBe('tokenizer.json')
  })

  it('clap', async () => {
    const sounds: Spec = ['input_features', 'FP32', 'sounds', 1, 1001, 64]
    const scores: Spec[] = [
      ['logits_per_audio', 'FP32', 'sounds', 'texts'],
      ['logits_per_text', 'FP32', 'texts', 'sounds'],
    ]
    const files = { 'tokenizer.json': TOKENIZER, 'tokenizer_config.json': { pad_token: '[PAD]' } }
    const { description } = await sources.describe(files, like([...IDS, sounds], scores), { family: 'clap' })
    expect(descriptionSchema.safeParse(description).error).toBeUndefined()
    expect(description).toMatchObject({ task: 'zero-shot-audio-classification', tokenizer: 'tokenizer.json' })
    // The values of laion/clap-htsat-unfused: ten seconds, in 1,001 frames of 64 bands.
    expect(description.preprocess?.audio).toEqual({
      sampleRate: 48_000,
      normalize: false,
      samples: 480_000,
      spectrogram: { fft: 1024, hop: 480, mels: 64, minFrequency: 50, maxFrequency: 14_000, padding: 'repeatpad' },
    })
  })

  it('colbert', async () => {
    const tokenizer = JSON.parse(new TextDecoder().decode(bertTokenizer())) as object
    const flags = { special: true, single_word: false, lstrip: false, rstrip: false, normalized: false }
    const added_tokens = ['[unused0]', '[unused1]'].map((content, i) => ({ content, id: 10 + i, ...flags }))
    const files = {
      'tokenizer.json': JSON.stringify({ ...tokenizer, added_tokens }),
      'tokenizer_config.json': { pad_token: '[PAD]' },
    }
    const output: Spec = ['last_hidden_state', 'FP32', 'batch', 'length', 128]
    const { description } = await sources.describe(files, like(IDS, [output]), { family: 'colbert' })
    expect(descriptionSchema.safeParse(description).error).toBeUndefined()
    expect(description).toMatchObject({
      task: 'feature-extraction',
      preprocess: {
        embedding: {
          pooling: 'none',
          prompts: { query: '[unused0]', document: '[unused1]' },
          tokens: { output: 'last_hidden_state', normalize: true },
        },
      },
    })
  })

  it('takes what the files beside it say, before what the preset says', async () => {
    const pictures: Spec = ['pixel_values', 'FP32', 'images', 3, 384, 384]
    const files = {
      'tokenizer.json': TOKENIZER,
      'tokenizer_config.json': { pad_token: '[PAD]' },
      'preprocessor_config.json': { size: { height: 384, width: 384 }, image_mean: [0, 0, 0], image_std: [1, 1, 1] },
    }
    const { description } = await sources.describe(files, like([IDS[0] ?? pictures, pictures], PAIR), {
      family: 'siglip',
    })
    expect(description.preprocess?.image).toMatchObject({ size: [384, 384], mean: [0, 0, 0] })
  })

  it('is refused where the model is another', async () => {
    await expect(
      sources.describe({ 'tokenizer.json': TOKENIZER }, like(IDS, [['out', 'FP32', 1, 2]]), { family: 'siglip' }),
    ).rejects.toThrow(/cannot be served as zero-shot-image-classification: it does not compare both sides/)
  })
})

describe('a file that names its own classes', () => {
  it('is described by what is written in it when it is loaded', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'verge-families-'))
    try {
      const shape = [1, 3, 32, 32]
      const bytes = onnxModel({
        inputs: [{ name: 'images', datatype: 'FP32', shape }],
        outputs: [{ name: 'output0', datatype: 'FP32', shape: [1, 6, 512] }],
        nodes: [{ op: 'Reshape', inputs: ['images', 'to'], outputs: ['output0'] }],
        initializers: { to: { datatype: 'INT64', shape: [3], data: BigInt64Array.of(1n, 6n, 512n) } },
      })
      const model = decodeModel(bytes)
      const written = { names: "{0: 'cat', 1: 'dog'}", stride: '32', task: 'detect', imgsz: '[32, 32]' }
      for (const [key, value] of Object.entries(written)) {
        model.metadataProps.push({ $typeName: 'onnx.StringStringEntryProto', key, value })
      }
      const file = join(folder, 'best.onnx')
      await writeFile(file, encodeModel(model))
      const progress = { task: () => ({ set: () => undefined, done: () => undefined }) } as never
      const loaded = await loadModel(file, { signal: new AbortController().signal, progress })
      const { description } = await describeLoaded(loaded)
      expect(description).toMatchObject({ task: 'object-detection', labels: ['cat', 'dog'], name: 'best' })
      // A preset says the head; the names are still those of the file.
      const { model: asked } = buildSettings(parseCommand(['--preset', 'yolov5'], BUILD_OPTIONS).values)
      const preset = await describeLoaded(loaded, asked)
      expect(preset.description.labels).toEqual(['cat', 'dog'])
      expect(preset.description.postprocess?.detection).toMatchObject({ head: 'yolo', iou: 0.45 })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
