import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../../src/cli/files/project.ts'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack, packFolder } from '../../src/cli/pack/packer.ts'
import type { Stored } from '../lib/storage.ts'
import { CACHE, type MadeModelName, madeModel } from './index.ts'

/** Every vocabulary here is of `models/reviews`: 21,542 pieces, of the 30,522 that the encoder has rows for. */
const TOKENIZER = 'tokenizer.json'
const CLASSES = 1000

/** MiniLM's shape in int8, as a model of texts: mean pooling, vectors of length 1. */
export async function textSubject(): Promise<Stored> {
  await madeModel('encoder-int8')
  await copyFile(join(ROOT, 'models/reviews', TOKENIZER), join(CACHE, 'models/encoder-int8', TOKENIZER))
  return taskSubject('encoder-int8', {
    task: 'feature-extraction',
    tokenizer: TOKENIZER,
    preprocess: { text: { maxTokens: 512 }, embedding: { pooling: 'mean', normalize: true } },
    artifacts: [{ file: 'model.onnx', dtype: 'int8' }],
  })
}

/** Static embeddings of MiniLM's channels: the cheapest model of texts. */
export async function staticSubject(): Promise<Stored> {
  await madeModel('static-fp32')
  await copyFile(join(ROOT, 'models/reviews', TOKENIZER), join(CACHE, 'models/static-fp32', TOKENIZER))
  return taskSubject('static-fp32', {
    task: 'feature-extraction',
    tokenizer: TOKENIZER,
    preprocess: { text: { maxTokens: 512 }, embedding: { pooling: 'mean', normalize: true } },
    artifacts: [{ file: 'model.onnx', dtype: 'fp32' }],
  })
}

/** The model of texts that ships with Verge. */
export async function writerSubject(): Promise<Stored> {
  const name = 'abacus'
  return { name, packed: await packFolder(join(ROOT, 'models', name)) }
}

/** MobileNet's shape, as a classifier of pictures with the usual preprocessing of ImageNet's models. */
export function pictureSubject(): Promise<Stored> {
  return taskSubject('cnn-fp32', {
    task: 'image-classification',
    labels: Array.from({ length: CLASSES }, (_, index) => `class ${index}`),
    activation: 'softmax',
    preprocess: {
      image: {
        mode: 'RGB',
        size: [224, 224],
        fit: 'crop',
        resize: 256,
        rescale: 1 / 255,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
      },
    },
    artifacts: [{ file: 'model.onnx', dtype: 'fp32' }],
  })
}

async function taskSubject(name: MadeModelName, description: Readonly<Record<string, unknown>>): Promise<Stored> {
  const { bytes } = await madeModel(name)
  const base = { name, version: '1', visibility: 'public', licence: 'Apache-2.0' }
  const packed = await pack(descriptionSchema.parse({ ...base, ...description }), join(CACHE, 'models', name))
  return { name, onnx: bytes, packed }
}
