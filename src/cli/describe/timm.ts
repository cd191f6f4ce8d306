import { checkKeys, type KeyRules } from './keys.ts'
import type { LabelOutcome } from './labels.ts'
import { numberOf, numbersOf, objectOf, type Settings, sizeOf, stringOf } from './settings.ts'

/** What timm's evaluation takes where settings leave it out: `timm/data/constants.py`, `resolve_data_config`. */
const DEFAULT_CROP = 0.875
const DEFAULT_FILTER = 'bicubic'
const DEFAULT_MEAN = [0.485, 0.456, 0.406]
const DEFAULT_STD = [0.229, 0.224, 0.225]

/** timm's own settings (`pretrained_cfg`), which its models carry in `config.json` or `preprocessor_config.json`. */
export function timmSettings(config: Settings, processor: Settings | undefined): Settings | undefined {
  return objectOf(config.pretrained_cfg) ?? objectOf(processor?.pretrained_cfg)
}

/** Keys of a `pretrained_cfg`. Those of another size than the usual are for tests at that size, which timm asks for. */
const KEYS: KeyRules = {
  input_size: 'read',
  crop_pct: 'read',
  crop_mode: (value) =>
    ['center', 'squash', 'border'].includes(String(value))
      ? undefined
      : { problem: `timm's crop_mode ${JSON.stringify(value).slice(0, 64)} is not supported` },
  interpolation: 'read',
  mean: 'read',
  std: 'read',
  ...irrelevant(
    'tag custom_load fixed_input_size test_input_size test_crop_pct min_input_size num_classes label_offset',
    'label_names label_descriptions pool_size first_conv classifier paper_name paper_ids origin_url license url file',
    'hf_hub_id hf_hub_filename state_dict source architecture notes tags num_features global_pool',
  ),
}

function irrelevant(...names: readonly string[]): KeyRules {
  return Object.fromEntries(names.flatMap((line) => line.split(' ')).map((name) => [name, 'irrelevant' as const]))
}

export interface TimmProcessor {
  readonly processor: Settings
  readonly notes: readonly string[]
}

/**
 * timm's settings in the words of transformers' image processors, as its own evaluation reads them:
 * `timm/data/transforms_factory.py`, `transforms_imagenet_eval`.
 */
export function timmProcessor(timm: Settings): LabelOutcome<TimmProcessor> {
  const keys = checkKeys("timm's pretrained_cfg", timm, KEYS)
  if ('problem' in keys) return keys
  const notes = [...keys.value]
  const [, height, width] = numbersOf(timm.input_size) ?? []
  const share = numberOf(timm.crop_pct) ?? DEFAULT_CROP
  const mean = numbersOf(timm.mean) ?? DEFAULT_MEAN
  const larger = (side: number | undefined): number | undefined =>
    sizeOf(side) === undefined || !(share > 0) ? undefined : Math.floor((side as number) / share)
  const crop = { height, width }
  const exact = { height: larger(height), width: larger(width) }
  const common = {
    crop_size: crop,
    do_center_crop: true,
    do_normalize: true,
    image_mean: mean,
    image_std: numbersOf(timm.std) ?? DEFAULT_STD,
    resample: stringOf(timm.interpolation) ?? DEFAULT_FILTER,
  }
  if (timm.crop_mode === 'squash') return { value: { processor: { ...common, size: exact }, notes } }
  if (timm.crop_mode === 'border') {
    return { problem: "timm's crop_mode border fills edges with the mean colour, which Verge does not support" }
  }
  if (height !== width && share < 1) {
    notes.push('images are resized by their shorter side; timm resizes them until both sides fit, so the crop differs')
  }
  return { value: { processor: { ...common, size: { shortest_edge: exact.height } }, notes } }
}
