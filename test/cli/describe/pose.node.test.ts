import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { descriptionSchema } from '../../../src/cli/pack/description.ts'
import type { Datatype, Signature } from '../../../src/core/tensors.ts'
import { type Sources, startSources } from '../../fixtures/node/describe.ts'

const like = (input: readonly [Datatype, ...number[]], ...outputs: (readonly [string, ...number[]])[]): Signature => {
  const [datatype, ...shape] = input
  return {
    inputs: [{ name: 'input', datatype, shape }],
    outputs: outputs.map(([name, ...shape]) => ({ name, datatype: 'FP32', shape })),
  }
}

let sources: Sources
beforeEach(async () => {
  sources = await startSources()
})
afterEach(() => sources.remove())

describe('a model that finds points', () => {
  it('is ViTPose by its configuration, without the rotation of its processor', async () => {
    const { description, notes } = await sources.describe(
      {
        'config.json': {
          architectures: ['VitPoseForPoseEstimation'],
          id2label: { 0: 'Nose', 1: 'L_Eye', 2: 'R_Eye' },
          edges: [
            [0, 1],
            [0, 2],
          ],
        },
        'preprocessor_config.json': {
          do_affine_transform: true,
          do_normalize: true,
          do_rescale: true,
          image_mean: [0.485, 0.456, 0.406],
          image_std: [0.229, 0.224, 0.225],
          image_processor_type: 'VitPoseImageProcessor',
          normalize_factor: 200,
          rescale_factor: 1 / 255,
          size: { height: 256, width: 192 },
        },
      },
      like(['FP32', 1, 3, 256, 192], ['heatmaps', 1, 3, 64, 48]),
    )
    expect(notes.join('\n')).not.toContain('unknown to Verge')
    expect(description).toMatchObject({
      task: 'keypoint-detection',
      preprocess: { image: { fit: 'letterbox', pad: 0, size: [256, 192], mean: [0.485, 0.456, 0.406] } },
      postprocess: {
        keypoints: {
          head: 'heatmaps',
          output: 'heatmaps',
          refine: 'dark',
          names: ['Nose', 'L_Eye', 'R_Eye'],
          skeleton: [
            [0, 1],
            [0, 2],
          ],
        },
      },
    })
    expect(notes.join('\n')).toMatch(/it finds the points of one person, who should fill the picture/)
  })

  it.each([
    ['movenet', like(['INT32', 1, 192, 192, 3], ['output_0', 1, 1, 17, 3]), { head: 'movenet' }, [192, 192], 'NHWC'],
    [
      'movenet-multipose',
      like(['INT32', 1, 256, 256, 3], ['output_0', 1, 6, 56]),
      { head: 'movenet-multipose' },
      [256, 256],
      'NHWC',
    ],
    [
      'yolov8-pose',
      like(['FP32', 1, 3, 640, 640], ['output0', 1, 56, 8400]),
      { head: 'yolo', numbers: 3 },
      [640, 640],
      'NCHW',
    ],
    [
      'rtmpose',
      like(['FP32', -1, 3, 256, 192], ['simcc_x', -1, 17, 384], ['simcc_y', -1, 17, 512]),
      { head: 'simcc' },
      [256, 192],
      'NCHW',
    ],
    [
      'vitpose',
      like(['FP32', -1, 3, -1, -1], ['heatmaps', -1, 17, -1, -1]),
      { head: 'heatmaps', refine: 'dark' },
      [256, 192],
      'NCHW',
    ],
  ] as const)('is %s by its preset', async (family, signature, keypoints, size, layout) => {
    const { description } = await sources.describe({}, signature, { family })
    expect(descriptionSchema.safeParse(description).error).toBeUndefined()
    expect(description).toMatchObject({
      task: 'keypoint-detection',
      preprocess: { image: { fit: 'letterbox', size, layout } },
      postprocess: { keypoints },
    })
    expect(description.postprocess?.keypoints?.names).toHaveLength(17)
    expect(description.postprocess?.keypoints?.skeleton).toHaveLength(19)
  })

  it('calls points by number where a preset names others', async () => {
    const { description } = await sources.describe(
      {},
      like(['FP32', 1, 3, 256, 192], ['simcc_x', 1, 21, 384], ['simcc_y', 1, 21, 512]),
      {
        family: 'rtmpose',
      },
    )
    expect(description.postprocess?.keypoints?.names.slice(19)).toEqual(['point_19', 'point_20'])
    expect(description.postprocess?.keypoints?.skeleton).toEqual([])
  })

  it('is served as tensors where its names are of other points', async () => {
    const files = {
      'config.json': { architectures: ['VitPoseForPoseEstimation'], id2label: { 0: 'Nose', 1: 'Tail' } },
      'preprocessor_config.json': { size: { height: 256, width: 192 } },
    }
    expect(await sources.notes(files, like(['FP32', 1, 3, 256, 192], ['heatmaps', 1, 3, 64, 48]))).toMatch(
      /raw tensors: there are names of 2 points, but its output has 3 maps/,
    )
  })
})
