import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../../../src/cli/files/project.ts'
import { queryDetector } from '../../../synthetic/detectors.ts'
import { lights } from '../../fixtures/media-models.ts'
import type { CompatibilityModel } from '../row.ts'

/** As DETR is pushed from the hub. */
async function detector(): Promise<CompatibilityModel> {
  const labels = ['cat', 'dog', 'remote']
  const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
  return {
    settings: {
      task: 'object-detection',
      labels,
      activation: 'softmax',
      preprocess: {
        image: { mode: 'RGB', fit: 'shortest', size: [96, 96], resize: 64, rescale: 1 / 255, ...imagenet },
      },
      postprocess: { detection: { head: 'detr', boxes: 'cxcywh', units: 'relative', threshold: 0.5, iou: 1 } },
    },
    files: new Map([['model.onnx', queryDetector({ queries: 30, scores: labels.length + 1, masked: true })]]),
  }
}

/** Three points of a picture, each where a colour is strongest. */
async function pose(): Promise<CompatibilityModel> {
  const { image, keypoints, task } = lights.extra
  return {
    settings: { task, preprocess: { image }, postprocess: { keypoints } },
    files: new Map([['model.onnx', lights.model]]),
  }
}

export const models = { detr: detector, 'colour-points': pose }

export const samples = { 'photo.png': () => readFile(join(ROOT, 'models/digits/samples/photo.png')) }
