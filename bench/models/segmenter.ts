import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack } from '../../src/cli/pack/packer.ts'
import { segformerModel } from '../../synthetic/segformer.ts'
import type { Stored } from '../lib/storage.ts'

/** Labels of ADE20K. */
const CLASSES = 150
/**
 * Of the model's input. The published model takes 512: its decoder then joins 1,024 channels of 128 x 128 floats, 67 MB, which
 * no isolate holds beside the weights.
 */
export const SEGMENTER_SIDE = 256

/** SegFormer-B0 for ADE20K with seeded weights, 3.8 million of them, in floats. */
export async function segmenterSubject(): Promise<Stored> {
  const model = segformerModel({
    side: SEGMENTER_SIDE,
    classes: CLASSES,
    channels: [32, 64, 160, 256],
    depths: [2, 2, 2, 2],
    heads: [1, 2, 5, 8],
    reductions: [8, 4, 2, 1],
    decoder: 256,
  })
  const name = 'segformer-b0'
  const description = descriptionSchema.parse({
    ...{ name, version: '1', visibility: 'public', licence: 'Apache-2.0', task: 'image-segmentation' },
    labels: Array.from({ length: CLASSES }, (_, i) => `class ${i}`),
    preprocess: {
      image: {
        ...{ mode: 'RGB', size: [SEGMENTER_SIDE, SEGMENTER_SIDE], fit: 'stretch', rescale: 1 / 255 },
        ...{ mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
      },
    },
    postprocess: { segmentation: { head: 'classes' } },
    artifacts: [{ file: 'model.onnx', dtype: 'fp32' }],
  })
  return { name, onnx: model, packed: await pack(description, '.', new Map([['model.onnx', model]])) }
}
