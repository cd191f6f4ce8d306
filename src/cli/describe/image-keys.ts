import { familyOf, processorName } from './image-family.ts'
import { type Finding, type KeyRule, type KeyRules, only } from './keys.ts'

/** Refuses a switch that is on: the server has nothing that does this. */
const refused = (what: string): KeyRule => only(false, { problem: what })

/** A number that pictures are rounded or padded to a multiple of: without effect at 1. */
const multiple =
  (key: string) =>
  (value: unknown): Finding =>
    value === 1
      ? undefined
      : {
          problem: `its ${key} makes pictures of different sizes, and the server makes all of one size; say which with --size`,
        }

const flag: KeyRule = (value) =>
  typeof value === 'boolean' ? undefined : { problem: 'a switch of its settings is neither true nor false' }

/**
 * Keys of a `preprocessor_config.json` for pictures. `read`: `image.ts` and `image-framing.ts` obey it. A key that is
 * not here is named in a note, unless its value is null.
 */
export const IMAGE_KEYS: KeyRules = {
  image_processor_type: (_, settings) =>
    familyOf(settings) === undefined && processorName(settings) !== ''
      ? {
          note: `its processor ${processorName(settings).slice(0, 64)} is not one that Verge knows: its settings are read as ViT's and CLIP's are. Compare an answer with the original's`,
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
    return { note: 'its crop_pct is not read: only the processors of ConvNeXT and PoolFormer have one' }
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
    if (value !== true || familyOf(settings)?.frames === 'thumbnail') return undefined
    return settings.pad_size === undefined && settings.size_divisor === undefined
      ? { note: 'its do_pad fills a batch of pictures up to the largest; the server gives every picture the same size' }
      : undefined
  },
  pad_size: (_, settings) =>
    settings.do_pad === true
      ? { problem: 'it pads pictures at their right and lower edges (pad_size), which the server does not do' }
      : undefined,
  // Without padding or resizing these do nothing.
  size_divisor: (value, settings) => (settings.do_pad === false ? undefined : multiple('size_divisor')(value)),
  size_divisibility: multiple('size_divisibility'),
  ensure_multiple_of: (value, settings) =>
    settings.keep_aspect_ratio === true ? multiple('ensure_multiple_of')(value) : undefined,
  keep_aspect_ratio: refused('it keeps the proportions of pictures (keep_aspect_ratio), so that their sizes differ'),
  do_align_long_axis: refused('it turns pictures that lie across (do_align_long_axis), which the server does not do'),
  do_crop_margin: refused('it cuts margins off pictures (do_crop_margin), which the server does not do'),
  do_color_quantize: refused(
    'it turns pixels into colours of a palette (do_color_quantize), which the server does not do',
  ),
  do_grayscale: refused('it makes pictures grey with three channels (do_grayscale), which the server does not do'),
  do_image_splitting: refused('it splits pictures into tiles (do_image_splitting), which the server does not do'),
  do_affine_transform: refused('it turns and shifts pictures (do_affine_transform), which the server does not do'),
  apply_ocr: refused('it reads the text in pictures (apply_ocr), which the server does not do'),
  image_grid_pinpoints: () => ({
    problem: 'it cuts pictures into tiles (image_grid_pinpoints), which the server does not do',
  }),
  max_num_patches: () => ({ problem: 'it takes patches of a picture (max_num_patches), not the picture' }),
  max_patches: () => ({ problem: 'it takes patches of a picture (max_patches), not the picture' }),
  min_pixels: () => ({
    problem: 'it makes pictures of different sizes (min_pixels), and the server makes all of one size',
  }),
  max_pixels: () => ({
    problem: 'it makes pictures of different sizes (max_pixels), and the server makes all of one size',
  }),
  offset: refused('it shifts pixels by a number of its own (offset), which the server does not do'),
  // Pictures come as RGB whatever the file holds; labels, tensors' kinds and masks of batches are none of the pixels.
  do_convert_rgb: 'irrelevant',
  do_reduce_labels: 'irrelevant',
  reduce_labels: 'irrelevant',
  do_convert_annotations: 'irrelevant',
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
