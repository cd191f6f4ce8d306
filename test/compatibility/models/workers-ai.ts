import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../../../src/cli/files/project.ts'
import { faceModel } from '../../fixtures/docs-models.ts'
import { judgeModel, wordPieceTokenizer } from '../../fixtures/text-models.ts'
import type { CompatibilityModel } from '../row.ts'

/** A cross-encoder that scores texts by one word. */
async function wordJudge(): Promise<CompatibilityModel> {
  const files = new Map([
    ['model.onnx', judgeModel(1, { first: [3], london: [-2] })],
    ['tokenizer.json', wordPieceTokenizer()],
  ])
  return { settings: { task: 'text-ranking', tokenizer: 'tokenizer.json' }, files }
}

async function faceFinder(): Promise<CompatibilityModel> {
  const settings = {
    task: 'object-detection',
    labels: ['background', 'face'],
    preprocess: { image: { mode: 'RGB', size: [240, 320], fit: 'stretch', rescale: 1, mean: [127], std: [128] } },
    postprocess: { detection: { head: 'ssd', units: 'relative', background: 0, threshold: 0.7, iou: 0.5 } },
  }
  return { settings, files: new Map([['model.onnx', faceModel()]]) }
}

export const models = { 'word-judge': wordJudge, 'face-finder': faceFinder }

export const samples = { 'digit-seven.png': () => readFile(join(ROOT, 'models/digits/samples/seven.png')) }

/** Workers AI's names. */
export const names = {
  '@cf/baai/bge-m3': 'embedder',
  '@cf/baai/bge-reranker-base': 'word-judge',
  '@cf/huggingface/distilbert-sst-2-int8': 'reviews',
  '@cf/microsoft/resnet-50': 'digits',
  '@cf/facebook/detr-resnet-50': 'face-finder',
  '@cf/meta/llama-3.2-1b-instruct': 'abacus',
}
