import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Sources, signature, startSources } from '../../fixtures/node/describe.ts'

const PICTURE = signature({ pixel_values: ['FP32', ['batch', 3, 'height', 'width']] }, 3)

let sources: Sources

beforeEach(async () => {
  sources = await startSources()
})
afterEach(() => sources.remove())

describe('an image classifier', () => {
  const config = { architectures: ['ViTForImageClassification'], id2label: { 0: 'a', 1: 'b', 2: 'c' } }
  const vit = {
    do_normalize: true,
    do_rescale: true,
    do_resize: true,
    image_mean: [0.5, 0.5, 0.5],
    image_processor_type: 'ViTImageProcessor',
    image_std: [0.5, 0.5, 0.5],
    resample: 2,
    rescale_factor: 0.00392156862745098,
    size: { height: 224, width: 224 },
  }
  const imagenet = { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] }
  const image = async (processor: object, like = PICTURE, other: object = config) =>
    (await sources.describe({ 'config.json': other, 'preprocessor_config.json': processor }, like)).description
      .preprocess?.image

  it('as ViT has it: stretched, without a note of anything odd', async () => {
    const { description, notes } = await sources.describe(
      { 'config.json': config, 'preprocessor_config.json': vit },
      PICTURE,
    )
    expect(description).toMatchObject({ task: 'image-classification', labels: ['a', 'b', 'c'], activation: 'softmax' })
    expect(description.preprocess?.image).toEqual({
      mode: 'RGB',
      fit: 'stretch',
      size: [224, 224],
      rescale: 0.00392156862745098,
      mean: [0.5, 0.5, 0.5],
      std: [0.5, 0.5, 0.5],
      layout: 'NCHW',
    })
    expect(notes.filter((note) => /^pictures/.test(note))).toEqual([])
  })

  /** Published settings, and what transformers' own processor makes of them. */
  it.each([
    [
      'ResNet, which is prepared as ConvNeXT',
      { ...imagenet, crop_pct: 0.875, image_processor_type: 'ConvNextImageProcessor', size: { shortest_edge: 224 } },
      { fit: 'crop', size: [224, 224], resize: 256 },
    ],
    [
      'ConvNeXT at 384',
      { ...imagenet, crop_pct: null, feature_extractor_type: 'ConvNextFeatureExtractor', size: 384 },
      { fit: 'stretch', size: [384, 384] },
    ],
    [
      'MobileNet V2',
      { ...vit, do_center_crop: true, crop_size: { height: 224, width: 224 }, size: { shortest_edge: 256 } },
      { fit: 'crop', size: [224, 224], resize: 256 },
    ],
    [
      'ViT in its older form',
      { feature_extractor_type: 'ViTFeatureExtractor', do_normalize: true, ...imagenet, size: 224 },
      { fit: 'stretch', size: [224, 224], rescale: 1 / 255 },
    ],
    [
      'CLIP in its older form',
      { ...imagenet, do_center_crop: true, crop_size: 224, size: 224 },
      { fit: 'crop', size: [224, 224], resize: 224 },
    ],
    ['not rescaled', { ...vit, do_rescale: false }, { rescale: 1 }],
    [
      'not normalized',
      { ...vit, do_normalize: false },
      { rescale: 0.00392156862745098, mean: undefined, std: undefined },
    ],
    [
      'shifted by one',
      { ...vit, rescale_offset: true, rescale_factor: 1 / 127.5, do_normalize: false },
      { rescale: 1 / 127.5, mean: [1, 1, 1], std: [1, 1, 1] },
    ],
    [
      'EfficientNet, whose deviation counts twice',
      { ...vit, image_processor_type: 'EfficientNetImageProcessor' },
      { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
    ],
    [
      'one value for all channels',
      { ...vit, image_mean: 0.5, image_std: [0.25] },
      { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
    ],
  ] as const)('as %s', async (_, processor, expected) => {
    const found = await image(processor)
    expect({ ...found }).toMatchObject(
      Object.fromEntries(Object.entries(expected).filter(([, value]) => value !== undefined)),
    )
    for (const [key, value] of Object.entries(expected)) if (value === undefined) expect(found).not.toHaveProperty(key)
  })

  it('takes layout, channels and size from its signature', async () => {
    expect(await image(vit, signature({ x: ['FP32', ['n', 'h', 'w', 3]] }, 3))).toMatchObject({
      layout: 'NHWC',
      mode: 'RGB',
    })
    expect(await image(vit, signature({ x: ['UINT8', [1, 1, 28, 28]] }, 3))).toMatchObject({
      mode: 'L',
      size: [28, 28],
      mean: [0.5],
    })
    const like = signature({ x: ['FP32', ['n', 3, 256, 192]] }, 3)
    expect(await image(vit, like)).toMatchObject({ size: [256, 192] })
    const files = { 'config.json': config, 'preprocessor_config.json': vit }
    expect(await sources.notes(files, like)).toMatch(
      /resized to 192 x 256 pixels, as the model requires; .* says 224 x 224/,
    )
    expect(await image({ ...vit, size: undefined }, like)).toMatchObject({ fit: 'stretch', size: [256, 192] })
  })

  it.each([
    [0, 'nearest'],
    [1, 'lanczos'],
    [2, undefined],
    [3, 'bicubic'],
    [4, 'box'],
    [5, 'hamming'],
    ['bicubic', 'bicubic'],
  ])('takes the filter %s for %s', async (resample, name) => {
    expect((await image({ ...vit, resample }))?.resample).toBe(name)
  })

  it('says where the server does otherwise than the training did', async () => {
    const notes = (processor: object) =>
      sources.notes({ 'config.json': config, 'preprocessor_config.json': processor }, PICTURE)
    expect(await notes({ ...vit, resample: 9 })).toMatch(/bilinear filter, but the model was trained with "9"/)
    expect(await notes({ ...vit, do_center_crop: true, crop_size: 200 })).toMatch(
      /stretched to 224 x 224 and centre-cropped to 200 x 200/,
    )
    expect(await notes({ ...vit, size: { shortest_edge: 300 } })).toMatch(/cropped to a square/)
    expect(await notes({ ...vit, size: { shortest_edge: 800, longest_edge: 1333 }, do_pad: true })).toMatch(
      /do_pad pads the images of a batch[\s\S]*stretched to 800 x 800; .* kept their aspect ratio, up to 1333/,
    )
    // DETR's older form, and MobileViT's order of channels.
    expect(await notes({ ...vit, feature_extractor_type: undefined, size: 800, max_size: 1333 })).toMatch(/up to 1333/)
    expect((await image({ ...vit, do_flip_channel_order: true }))?.mode).toBe('BGR')
  })

  it('names what it does not know, rather than passing over it in silence', async () => {
    const notes = (processor: object) =>
      sources.notes({ 'config.json': config, 'preprocessor_config.json': processor }, PICTURE)
    expect(await notes({ ...vit, sharpen: 2, do_solarise: true })).toMatch(
      /preprocessor_config\.json: Verge ignores "sharpen", "do_solarise", which it does not know/,
    )
    expect(await notes({ ...vit, image_processor_type: 'OwnImageProcessor' })).toMatch(
      /its processor Own is unknown to Verge/,
    )
    expect(await notes({ ...vit, image_processor_type: undefined, crop_pct: 0.9 })).toMatch(/crop_pct is ignored/)
    expect(await notes({ ...vit, do_convert_rgb: true, do_reduce_labels: false, device: null })).not.toMatch(
      /Verge ignores|is ignored/,
    )
  })

  it("reads timm's settings", async () => {
    const timm = {
      architecture: 'mobilenetv3_small_100',
      num_classes: 3,
      label_names: ['n01', 'n02', 'n03'],
      label_descriptions: { n01: 'tench', n03: 'shark' },
      pretrained_cfg: {
        ...{ input_size: [3, 224, 224], crop_pct: 0.875, interpolation: 'bicubic', crop_mode: 'center' },
        ...{ mean: imagenet.image_mean, std: imagenet.image_std },
      },
    }
    const { description, notes } = await sources.describe({ 'config.json': timm }, PICTURE)
    expect(description).toMatchObject({
      task: 'image-classification',
      labels: ['tench', 'n02', 'shark'],
      preprocess: {
        image: {
          ...{ fit: 'crop', size: [224, 224], resize: 256, resample: 'bicubic' },
          ...{ mean: imagenet.image_mean, std: imagenet.image_std },
        },
      },
    })
    expect(notes.join('\n')).toMatch(/by timm's settings/)
    const squashed = { ...timm, pretrained_cfg: { ...timm.pretrained_cfg, crop_mode: 'squash' } }
    // transforms_imagenet_eval: each edge to floor(224 / 0.875) = 256, then the centre; with crop_pct 1 stretched alone.
    const imageOf = async (cfg: object) =>
      (
        await sources.describe(
          { 'config.json': { ...timm, pretrained_cfg: { ...timm.pretrained_cfg, ...cfg } } },
          PICTURE,
        )
      ).description.preprocess?.image
    expect((await sources.describe({ 'config.json': squashed }, PICTURE)).description.preprocess?.image).toMatchObject({
      ...{ fit: 'crop', size: [224, 224], resize: [256, 256] },
    })
    expect(await imageOf({ crop_mode: 'squash', crop_pct: 1 })).toMatchObject({ fit: 'stretch', size: [224, 224] })
    // What is left out is timm's own default: bicubic, 0.875, ImageNet's mean and deviation.
    const bare = { interpolation: undefined, crop_pct: undefined, mean: undefined, std: undefined }
    expect(await imageOf(bare)).toMatchObject({
      ...{ resample: 'bicubic', resize: 256, mean: imagenet.image_mean, std: imagenet.image_std },
    })
    const notes2 = (cfg: object) =>
      sources.notes({ 'config.json': { ...timm, pretrained_cfg: { ...timm.pretrained_cfg, ...cfg } } }, PICTURE)
    expect(await notes2({ crop_mode: 'border' })).toMatch(/raw tensors: .*crop_mode border fills edges/)
    expect(await notes2({ crop_mode: 'spiral' })).toMatch(/raw tensors: .*crop_mode "spiral" is not supported/)
    expect(await notes2({ sharpen: 1 })).toMatch(/timm's pretrained_cfg: Verge ignores "sharpen"/)
  })

  it.each([
    ['there are no settings', undefined, PICTURE, /no preprocessor_config.json/],
    [
      'nothing says in which order the mean is',
      { ...vit, ...imagenet, do_flip_channel_order: true },
      PICTURE,
      /takes blue, green, red, but the order of its mean/,
    ],
    ['pictures keep their proportions', { ...vit, keep_aspect_ratio: true }, PICTURE, /keep_aspect_ratio/],
    ['pictures are padded', { ...vit, do_pad: true, pad_size: { height: 9, width: 9 } }, PICTURE, /pad_size/],
    ['pictures are turned', { ...vit, do_align_long_axis: true }, PICTURE, /rotates images to align the long axis/],
    ['it takes patches', { ...vit, max_num_patches: 256 }, PICTURE, /patches instead of whole images/],
    [
      'sizes differ',
      { ...vit, size: { shortest_edge: 800, longest_edge: 1333 }, size_divisor: 32 },
      PICTURE,
      /size_divisor/,
    ],
    ['pictures are whole', { ...vit, size: { longest_edge: 1333 } }, PICTURE, /longest side of 1333.*--size/],
    ['it makes thumbnails', { ...vit, do_thumbnail: true }, PICTURE, /do_thumbnail/],
    ['a switch is a word', { ...vit, do_resize: 'yes' }, PICTURE, /neither true nor false/],
    [
      'the mean is missing',
      { ...vit, image_mean: undefined },
      PICTURE,
      /no mean and standard deviation for three channels/,
    ],
    ['the size is missing', { ...vit, size: undefined }, PICTURE, /no file sets its image size/],
    [
      'it takes two inputs',
      vit,
      signature({ a: ['FP32', ['n', 3, 8, 8]], b: ['FP32', ['n']] }, 3),
      /exactly one input/,
    ],
    ['it takes five channels', vit, signature({ a: ['FP32', ['n', 5, 8, 8]] }, 3), /neither one nor three channels/],
    [
      'it takes integers',
      vit,
      signature({ a: ['INT64', ['n', 3, 8, 8]] }, 3),
      /has a datatype that images cannot have/,
    ],
    ['it takes rows', vit, signature({ a: ['FP32', ['n', 8]] }, 3), /four dimensions/],
  ] as const)('becomes raw tensors where %s', async (_, processor, like, message) => {
    const files = { 'config.json': config, ...(processor && { 'preprocessor_config.json': processor }) }
    expect(await sources.notes(files, like)).toMatch(new RegExp(`raw tensors: .*${message.source}`))
    await expect(sources.describe(files, like, { task: 'image-classification' })).rejects.toThrow(message)
  })
})
