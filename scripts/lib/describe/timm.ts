import { numberOf, numbersOf, objectOf, type Settings, sizeOf, stringOf } from './settings.ts'

/** What of timm's settings is missing where a model leaves it out. */
const DEFAULT_CROP = 0.875

/** timm's own settings (`pretrained_cfg`), which its models carry in `config.json` or `preprocessor_config.json`. */
export function timmSettings(config: Settings, processor: Settings | undefined): Settings | undefined {
  return objectOf(config.pretrained_cfg) ?? objectOf(processor?.pretrained_cfg)
}

/** timm's settings in the words of transformers' image processors, as its own evaluation transforms read them. */
export function timmProcessor(timm: Settings): Settings {
  const [, height, width] = numbersOf(timm.input_size) ?? []
  const share = numberOf(timm.crop_pct) ?? DEFAULT_CROP
  const side = sizeOf(height)
  const size = { height, width }
  const stretched = timm.crop_mode === 'squash'
  const edge = side === undefined ? undefined : Math.floor(side / share)
  return {
    size: stretched ? size : { shortest_edge: edge },
    crop_size: size,
    do_center_crop: !stretched,
    image_mean: timm.mean,
    image_std: timm.std,
    do_normalize: true,
    resample: stringOf(timm.interpolation),
  }
}
