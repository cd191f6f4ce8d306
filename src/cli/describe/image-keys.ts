import { familyOf, processorName } from './image-family.ts'
import { type Finding, type KeyRule, type KeyRules, only } from './keys.ts'
import type { Settings } from './settings.ts'

/** Refuses a switch that is on: the server has nothing that does this. */
const refused = (what: string): KeyRule => only(false, { problem: what })

/** A number that pictures are rounded or padded to a multiple of: without effect at 1. */
const multiple =
  (key: string) =>
  (value: unknown): Finding =>
    value === 1
      ? undefined
      : {
          problem: `its ${key} makes images of different sizes, but Verge resizes all images to one size; set it with --size`,
        }

/** Processors that scale pictures to a shorter side and then to a multiple; `Image` is what MODNet and RMBG name. */
const SCALED_FIRST = ['MaskFormer', 'Mask2Former', 'Image', '']
const setsSide = (settings: Settings): boolean =>
  SCALED_FIRST.includes(processorName(settings)) && settings.size !== undefined && settings.size !== null

const flag: KeyRule = (value) =>
  typeof value === 'boolean' ? undefined : { problem: 'one of its boolean settings is neither true nor false' }

/**
 * Keys of a `preprocessor_config.json` for pictures. `read`: `image.ts` and `image-framing.ts` obey it. A key that is
 * not here is named in a note, unless its value is null.
 */
export const IMAGE_KEYS: KeyRules = {
  image_processor_type: (_, settings) =>
    familyOf(settings) === undefined && processorName(settings) !== ''
      ? {
          note: `its processor ${processorName(settings).slice(0, 64)} is unknown to Verge, which reads its settings like those of ViT and CLIP. Compare an output with the original's`,
        }
      : undefined,
  feature_extractor_type: 'read',
  size: 'read',
  max_size: 'read',
  crop_size: 'read',
  do_resize: flag,
  do_center_crop: flag,
  do_resize_and_center_crop: flag,
  do_thumbnail: 'read',
  crop_pct: (_, settings) => {
    // A processor that is known reads it or, like transformers', does not.
    if (familyOf(settings) !== undefined) return undefined
    return { note: 'crop_pct is ignored: it applies only to ConvNeXT and PoolFormer' }
  },
  resample: 'read',
  do_rescale: flag,
  rescale_factor: 'read',
  rescale_offset: 'read',
  do_normalize: flag,
  image_mean: 'read',
  image_std: 'read',
  include_top: 'read',
  do_flip_channel_order: flag,
  do_flip_channels: flag,
  do_pad: (value, settings) => {
    if (value !== true || ['thumbnail', 'detr'].includes(familyOf(settings)?.frames ?? '')) return undefined
    return settings.pad_size === undefined && settings.size_divisor === undefined
      ? { note: 'do_pad pads the images of a batch to the largest; Verge resizes every image to the same size' }
      : undefined
  },
  pad_size: (_, settings) =>
    settings.do_pad === true
      ? { problem: 'it pads images at the right and bottom (pad_size), which Verge does not support' }
      : undefined,
  // Without padding or resizing these do nothing.
  size_divisor: (value, settings) =>
    settings.do_pad === false || setsSide(settings) ? undefined : multiple('size_divisor')(value),
  size_divisibility: (value, settings) => (setsSide(settings) ? undefined : multiple('size_divisibility')(value)),
  ensure_multiple_of: (value, settings) =>
    settings.keep_aspect_ratio === true && processorName(settings) !== 'DPT'
      ? multiple('ensure_multiple_of')(value)
      : undefined,
  keep_aspect_ratio: (value, settings) =>
    value === true && processorName(settings) !== 'DPT'
      ? { problem: 'it keeps the aspect ratio of images (keep_aspect_ratio), so their sizes differ' }
      : undefined,
  do_align_long_axis: refused(
    'it rotates images to align the long axis (do_align_long_axis), which Verge does not support',
  ),
  do_crop_margin: refused('it crops the margins of images (do_crop_margin), which Verge does not support'),
  do_color_quantize: refused('it maps pixels to a colour palette (do_color_quantize), which Verge does not support'),
  do_grayscale: refused(
    'it converts images to greyscale with three channels (do_grayscale), which Verge does not support',
  ),
  do_image_splitting: refused('it splits images into tiles (do_image_splitting), which Verge does not support'),
  do_affine_transform: refused('it rotates and shifts images (do_affine_transform), which Verge does not support'),
  apply_ocr: refused('it reads the text in images (apply_ocr), which Verge does not support'),
  image_grid_pinpoints: () => ({
    problem: 'it splits images into tiles (image_grid_pinpoints), which Verge does not support',
  }),
  max_num_patches: () => ({ problem: 'it takes patches instead of whole images (max_num_patches)' }),
  max_patches: () => ({ problem: 'it takes patches instead of whole images (max_patches)' }),
  min_pixels: () => ({
    problem: 'it makes images of different sizes (min_pixels), but Verge resizes all images to one size',
  }),
  max_pixels: () => ({
    problem: 'it makes images of different sizes (max_pixels), but Verge resizes all images to one size',
  }),
  offset: refused('it shifts pixel values by an offset (offset), which Verge does not support'),
  // Images are always decoded as RGB. Keys for labels, tensor types and batch masks do not change pixels.
  do_convert_rgb: 'irrelevant',
  do_reduce_labels: 'irrelevant',
  reduce_labels: 'irrelevant',
  do_convert_annotations: 'irrelevant',
  ignore_index: 'irrelevant',
  num_labels: 'irrelevant',
  num_text: 'irrelevant',
  class_info_file: 'irrelevant',
  repo_path: 'irrelevant',
  metadata: 'irrelevant',
  pad_and_return_pixel_mask: 'irrelevant',
  format: 'irrelevant',
  default_to_square: 'irrelevant',
  return_tensors: 'irrelevant',
  data_format: 'irrelevant',
  input_data_format: 'irrelevant',
  device: 'irrelevant',
  disable_grouping: 'irrelevant',
  model_input_names: 'irrelevant',
  processor_class: 'irrelevant',
  auto_map: 'irrelevant',
  _valid_processor_keys: 'irrelevant',
  _processor_class: 'irrelevant',
  transformers_version: 'irrelevant',
}
