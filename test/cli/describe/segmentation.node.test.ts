import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Signature, TensorSpec } from '../../../src/core/tensors.ts'
import { type Sources, startSources } from '../../fixtures/node/describe.ts'

let sources: Sources

beforeEach(async () => {
  sources = await startSources()
})
afterEach(() => sources.remove())

type Shape = readonly (number | string)[]
const fp32 = (name: string, ...shape: Shape): TensorSpec => ({ name, datatype: 'FP32', shape })
const OPEN: Shape = ['batch', 3, 'height', 'width']
const model = (input: Shape, ...outputs: TensorSpec[]): Signature => ({
  inputs: [fp32('pixel_values', ...input)],
  outputs,
})
const id2label = { 0: 'wall', 1: 'building', 2: 'sky' }
const IMAGENET = { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] }
const describeWith = (config: object, processor: object, like: Signature) =>
  sources.describe({ 'config.json': config, 'preprocessor_config.json': processor }, like)

/** `preprocessor_config.json` of nvidia/segformer-b0-finetuned-ade-512-512. */
const SEGFORMER = {
  ...IMAGENET,
  do_normalize: true,
  do_resize: true,
  feature_extractor_type: 'SegformerFeatureExtractor',
  reduce_labels: true,
  do_reduce_labels: true,
  resample: 2,
  size: 512,
}
/** Of facebook/maskformer-swin-tiny-coco. */
const MASKFORMER = {
  ...IMAGENET,
  do_normalize: true,
  do_resize: true,
  feature_extractor_type: 'MaskFormerFeatureExtractor',
  image_processor_type: 'MaskFormerImageProcessor',
  ignore_index: 255,
  num_labels: 133,
  max_size: 1333,
  resample: 2,
  size: 800,
  size_divisibility: 32,
}
const thresholds = { threshold: 0.5, maskThreshold: 0.5, overlapMaskAreaThreshold: 0.8 }

describe('a model of segmentation', () => {
  it('as SegFormer has it: stretched, with scores of classes', async () => {
    const { description, notes } = await describeWith(
      { architectures: ['SegformerForSemanticSegmentation'], id2label },
      SEGFORMER,
      model(OPEN, fp32('logits', 'batch', 3, 'h', 'w')),
    )
    expect(description).toMatchObject({ task: 'image-segmentation', labels: ['wall', 'building', 'sky'] })
    expect(description.preprocess?.image).toMatchObject({ fit: 'stretch', size: [512, 512] })
    expect(description.postprocess).toEqual({ segmentation: { head: 'classes', ...thresholds } })
    expect(notes.join('\n')).not.toMatch(/reduce_labels/)
  })

  it('as MaskFormer has it: queries, in pictures that keep their proportions where the model takes any', async () => {
    const outputs = [fp32('class_queries_logits', 1, 100, 4), fp32('masks_queries_logits', 1, 100, 'h', 'w')]
    const config = { architectures: ['MaskFormerForInstanceSegmentation'], id2label }
    const open = await describeWith(config, MASKFORMER, model(OPEN, ...outputs))
    expect(open.description.preprocess?.image).toMatchObject({
      fit: 'shortest',
      size: [1333, 1333],
      resize: 800,
      multiple: 32,
    })
    expect(open.description.postprocess?.segmentation).toEqual({
      head: 'queries',
      ...thresholds,
      scoresOutput: 'class_queries_logits',
      masksOutput: 'masks_queries_logits',
    })
    const fixed = await describeWith(config, MASKFORMER, model([1, 3, 384, 384], ...outputs))
    expect(fixed.description.preprocess?.image).toMatchObject({ fit: 'stretch', size: [384, 384] })
    expect(fixed.notes.join('\n')).toMatch(/stretched to 384 x 384/)
  })

  it('as DETR has it, with masks beside the boxes', async () => {
    const { description } = await describeWith(
      { architectures: ['DetrForSegmentation'], id2label },
      { ...IMAGENET, image_processor_type: 'DetrImageProcessor', size: { shortest_edge: 800, longest_edge: 1333 } },
      model(OPEN, fp32('logits', 1, 100, 4), fp32('pred_boxes', 1, 100, 4), fp32('pred_masks', 1, 100, 'h', 'w')),
    )
    expect(description.postprocess?.segmentation).toMatchObject({ scoresOutput: 'logits', masksOutput: 'pred_masks' })
    expect(description.preprocess?.image).toMatchObject({ fit: 'shortest', resize: 800 })
  })

  it('stretches whole pictures where the settings cut out the middle', async () => {
    const { description, notes } = await describeWith(
      { architectures: ['MobileViTForSemanticSegmentation'], id2label },
      {
        do_center_crop: true,
        crop_size: { height: 512, width: 512 },
        size: { shortest_edge: 544 },
        do_flip_channel_order: true,
        image_processor_type: 'MobileViTImageProcessor',
      },
      model(OPEN, fp32('logits', 1, 3, 32, 32)),
    )
    expect(description.preprocess?.image).toMatchObject({ fit: 'stretch', size: [512, 512], mode: 'BGR' })
    expect(description.preprocess?.image?.resize).toBeUndefined()
    expect(notes.join('\n')).toMatch(/whole images are stretched to 512 x 512/)
  })

  it('takes classes that the model has chosen, and names the output where there are several', async () => {
    const config = { architectures: ['UperNetForSemanticSegmentation'], id2label }
    const chosen = await describeWith(
      config,
      SEGFORMER,
      model([1, 3, 64, 64], { name: 'classes', datatype: 'INT64', shape: [1, 64, 64] }),
    )
    expect(chosen.description.postprocess).toEqual({ segmentation: { head: 'classes', ...thresholds } })
    const several = await describeWith(
      config,
      SEGFORMER,
      model([1, 3, 64, 64], fp32('out', 1, 3, 64, 64), fp32('aux', 1, 3, 64, 64)),
    )
    expect(several.description.postprocess?.segmentation?.scoresOutput).toBe('out')
  })

  it.each([
    ['no map', [fp32('logits', 1, 3)], /no output of scores \[1, C, h, w\]/],
    ['other labels', [fp32('logits', 1, 7, 8, 8)], /3 labels, but its output has 7 classes/],
    ['masks alone', [fp32('pred_masks', 1, 100, 8, 8)], /no output of scores for them/],
  ])('is served as tensors otherwise: %s', async (_, outputs, reason) => {
    const { description, notes } = await describeWith(
      { architectures: ['SegformerForSemanticSegmentation'], id2label },
      SEGFORMER,
      model([1, 3, 64, 64], ...outputs),
    )
    expect(description.task).toBeUndefined()
    expect(notes.join('\n')).toMatch(reason)
  })
})
