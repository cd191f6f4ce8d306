import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { familyNamed } from '../../../src/cli/describe/families/index.ts'
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
const model = (input: Shape, ...outputs: TensorSpec[]): Signature => ({ inputs: [fp32('input', ...input)], outputs })
const describeWith = (config: object, processor: object, like: Signature) =>
  sources.describe({ 'config.json': config, 'preprocessor_config.json': processor }, like)

describe('a model that removes backgrounds', () => {
  /** `preprocessor_config.json` of briaai/RMBG-1.4. */
  const RMBG = {
    do_normalize: true,
    do_pad: false,
    do_rescale: true,
    do_resize: true,
    feature_extractor_type: 'ImageFeatureExtractor',
    image_mean: [0.5, 0.5, 0.5],
    image_std: [1, 1, 1],
    resample: 2,
    rescale_factor: 0.00392156862745098,
    size: { width: 1024, height: 1024 },
  }
  it('as RMBG has it', async () => {
    const { description, notes } = await describeWith(
      { architectures: ['BriaRMBG'], model_type: 'SegformerForSemanticSegmentation' },
      RMBG,
      model(OPEN, fp32('output', 'batch', 1, 'height', 'width')),
    )
    expect(description).toMatchObject({
      task: 'background-removal',
      preprocess: { image: { fit: 'stretch', size: [1024, 1024], mean: [0.5, 0.5, 0.5], std: [1, 1, 1] } },
      postprocess: { matte: { output: 'output', activation: 'auto', normalize: true } },
    })
    expect(notes.join('\n')).toMatch(/from its smallest to its greatest number/)
  })

  it('as MODNet has it: in proportions, cut to a multiple', async () => {
    const { description } = await describeWith(
      { architectures: ['MODNet'] },
      { ...RMBG, image_std: [0.5, 0.5, 0.5], size: { shortest_edge: 512 }, size_divisibility: 32 },
      model(OPEN, fp32('output', 'batch', 1, 'height', 'width')),
    )
    expect(description.preprocess?.image).toMatchObject({ fit: 'shortest', resize: 512, multiple: 32 })
    expect(description.postprocess?.matte?.normalize).toBe(false)
  })

  it.each(['rmbg', 'birefnet', 'modnet', 'u2net', 'isnet'])('by --preset %s from a lone file', async (name) => {
    const like = model([1, 3, 64, 64], fp32('1959', 1, 1, 64, 64), fp32('1960', 1, 1, 64, 64))
    const { description } = await sources.describe({}, like, { family: name })
    expect(description).toMatchObject({
      task: 'background-removal',
      preprocess: { image: { fit: 'stretch', size: [64, 64] } },
      postprocess: { matte: { output: '1959' } },
    })
  })

  it('is served as tensors where no output is one number a pixel', async () => {
    const like = model([1, 3, 64, 64], fp32('output', 1, 5))
    expect((await describeWith({ architectures: ['BiRefNet'] }, RMBG, like)).notes.join('\n')).toMatch(
      /no output of one number a pixel/,
    )
  })
})

describe('a model of depth', () => {
  const DPT = {
    do_normalize: true,
    do_rescale: true,
    do_resize: true,
    do_pad: false,
    size_divisor: null,
    image_processor_type: 'DPTImageProcessor',
    image_mean: [0.485, 0.456, 0.406],
    image_std: [0.229, 0.224, 0.225],
    keep_aspect_ratio: true,
    ensure_multiple_of: 14,
    resample: 3,
    rescale_factor: 0.00392156862745098,
    size: { height: 518, width: 518 },
  }
  const config = { architectures: ['DepthAnythingForDepthEstimation'] }

  it('as Depth Anything has it: in its proportions where the model takes any size', async () => {
    const { description } = await describeWith(config, DPT, model(OPEN, fp32('predicted_depth', 1, 'h', 'w')))
    expect(description).toMatchObject({
      task: 'depth-estimation',
      preprocess: { image: { fit: 'proportional', size: [518, 518], multiple: 14, resample: 'bicubic' } },
      postprocess: { depth: { output: 'predicted_depth' } },
    })
  })

  it('stretches for an export of one size', async () => {
    const { description, notes } = await describeWith(
      config,
      DPT,
      model([1, 3, 518, 518], fp32('hidden', 1, 9, 9, 9), fp32('predicted_depth', 1, 518, 518)),
    )
    expect(description.preprocess?.image).toMatchObject({ fit: 'stretch', size: [518, 518] })
    expect(notes.join('\n')).toMatch(/in training they kept their aspect ratio/)
  })

  it('as DPT has it: stretched', async () => {
    const { description } = await describeWith(
      { architectures: ['DPTForDepthEstimation'] },
      { ...DPT, keep_aspect_ratio: false, ensure_multiple_of: 1, size: 384 },
      model(OPEN, fp32('predicted_depth', 1, 'h', 'w')),
    )
    expect(description.preprocess?.image).toMatchObject({ fit: 'stretch', size: [384, 384] })
  })

  it('asks for a size where pictures have their own (GLPN)', async () => {
    const processor = {
      do_resize: true,
      do_rescale: true,
      image_processor_type: 'GLPNImageProcessor',
      size_divisor: 32,
    }
    const like = model(OPEN, fp32('predicted_depth', 1, 'h', 'w'))
    expect(
      (await describeWith({ architectures: ['GLPNForDepthEstimation'] }, processor, like)).notes.join('\n'),
    ).toMatch(/set it with --size/)
  })

  it.each(['depth-anything', 'dpt', 'midas'])('by --preset %s from a lone file', async (name) => {
    const like = model([1, 3, 252, 252], fp32('depth', 1, 252, 252))
    const { description } = await sources.describe({}, like, { family: name })
    expect(description).toMatchObject({
      task: 'depth-estimation',
      preprocess: { image: { fit: 'stretch', size: [252, 252] } },
      postprocess: { depth: { output: 'depth' } },
    })
    expect(familyNamed(name)?.source).toMatch(/^https:/)
  })
})
