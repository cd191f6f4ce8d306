import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../../../src/cli/files/project.ts'
import { wav } from '../../../synthetic/wav.ts'
import { brightnessModel, featuresModel, keywordsModel } from '../../fixtures/docs-models.ts'
import { judgeModel, readerModel, taggerModel, wordPieceTokenizer } from '../../fixtures/text-models.ts'
import type { CompatibilityModel } from '../row.ts'

/** A small model of texts, whose words are those of `text-models.ts`. */
function texts(settings: Readonly<Record<string, unknown>>, model: Uint8Array): () => Promise<CompatibilityModel> {
  return async () => ({
    settings: { tokenizer: 'tokenizer.json', preprocess: { text: { maxTokens: 32 } }, ...settings },
    files: new Map([
      ['model.onnx', model],
      ['tokenizer.json', wordPieceTokenizer()],
    ]),
  })
}

function media(settings: Readonly<Record<string, unknown>>, model: Uint8Array): () => Promise<CompatibilityModel> {
  return async () => ({ settings, files: new Map([['model.onnx', model]]) })
}

const square = { size: [224, 224], fit: 'stretch' }

export const models = {
  names: texts(
    { task: 'token-classification', labels: ['O', 'B-PER', 'I-PER', 'B-LOC', 'I-LOC'] },
    taggerModel(5, { ada: [0, 4, 0, 0, 0], london: [0, 0, 0, 5, 0] }),
  ),
  reader: texts(
    { task: 'question-answering' },
    readerModel({ ada: [4, 1], '##lace': [0, 4], charles: [3, 3], '1843': [2, 5] }),
  ),
  judge: texts(
    { task: 'zero-shot-classification', labels: ['contradiction', 'neutral', 'entailment'] },
    judgeModel(3, { travel: [0, 0, 4], money: [0, 1, 6], music: [3, 0, 0], the: [0.3, 0.2, 0.1] }),
  ),
  keywords: media(
    {
      task: 'audio-classification',
      labels: ['yes', 'no', 'up', 'down'],
      activation: 'softmax',
      preprocess: { audio: { sampleRate: 16_000, normalize: true, samples: 16_000 } },
    },
    keywordsModel(),
  ),
  'picture-features': media(
    {
      task: 'image-feature-extraction',
      preprocess: { image: { mode: 'RGB', ...square, rescale: 1 / 127.5, mean: [1], std: [1] } },
      postprocess: { imageFeatures: { output: 'pooler_output', normalize: true } },
    },
    featuresModel(),
  ),
  larger: media(
    {
      task: 'image-to-image',
      preprocess: { image: { mode: 'L', ...square, resample: 'bicubic', rescale: 1 / 255 } },
      postprocess: { imageOutput: { colour: 'luma' } },
    },
    brightnessModel(),
  ),
}

const tone = Float64Array.from({ length: 16_000 }, (_, i) => 0.8 * Math.sin((2 * Math.PI * 440 * i) / 16_000))

export const samples = {
  'digit.png': async () => new Uint8Array(await readFile(join(ROOT, 'models/digits/samples/seven.png'))),
  'yes.wav': async () => wav({ samples: tone }),
}
