import type { Resampling } from '../../catalog/settings/resample.ts'
import { type Settings, stringOf } from './settings.ts'

/** How an image processor of transformers reads its settings, where they leave something open. */
export interface ImageFamily {
  /** Whether a plain number as `size` is a square that pictures are stretched to; else it is their shorter side. */
  readonly square: boolean
  /** The filter where none is named. */
  readonly resample: Resampling
  /** How the processor interprets `size` and `crop_size`, if it differs from the usual way. */
  readonly frames?: 'convnext' | 'detr' | 'dpt' | 'levit' | 'perceiver' | 'poolformer' | 'thumbnail'
}

/**
 * By the names of the processors without `ImageProcessor` or `FeatureExtractor`: the defaults of the classes in
 * transformers 5.18 (`models/<name>/image_processing_pil_<name>.py`: `default_to_square`, `resample`, `resize`), which are
 * those of 4.x but for `resample`, which every saved file names.
 */
const FAMILIES: Readonly<Record<string, ImageFamily>> = {
  Beit: { square: true, resample: 'bicubic' },
  Bit: { square: false, resample: 'bicubic' },
  Blip: { square: true, resample: 'bicubic' },
  ChineseCLIP: { square: false, resample: 'bicubic' },
  CLIP: { square: false, resample: 'bicubic' },
  ConditionalDetr: { square: false, resample: 'bilinear', frames: 'detr' },
  ConvNext: { square: false, resample: 'bicubic', frames: 'convnext' },
  DeformableDetr: { square: false, resample: 'bilinear', frames: 'detr' },
  DeiT: { square: true, resample: 'bicubic' },
  Detr: { square: false, resample: 'bilinear', frames: 'detr' },
  DPT: { square: true, resample: 'bicubic', frames: 'dpt' },
  Donut: { square: true, resample: 'bilinear', frames: 'thumbnail' },
  EfficientFormer: { square: true, resample: 'bicubic' },
  EfficientNet: { square: true, resample: 'bicubic' },
  Flava: { square: true, resample: 'bicubic' },
  Levit: { square: false, resample: 'bicubic', frames: 'levit' },
  Mask2Former: { square: false, resample: 'bilinear', frames: 'detr' },
  MaskFormer: { square: false, resample: 'bilinear', frames: 'detr' },
  MobileNetV1: { square: false, resample: 'bilinear' },
  MobileNetV2: { square: false, resample: 'bilinear' },
  MobileViT: { square: false, resample: 'bicubic' },
  Perceiver: { square: true, resample: 'bicubic', frames: 'perceiver' },
  PoolFormer: { square: false, resample: 'bicubic', frames: 'poolformer' },
  Pvt: { square: true, resample: 'bicubic' },
  RTDetr: { square: true, resample: 'bilinear' },
  Segformer: { square: true, resample: 'bilinear' },
  Siglip: { square: false, resample: 'bicubic' },
  ViT: { square: true, resample: 'bilinear' },
  VitPose: { square: false, resample: 'bilinear' },
  ViTHybrid: { square: false, resample: 'bicubic' },
  Yolos: { square: false, resample: 'bilinear', frames: 'detr' },
}

/** The processor's name without what all of them end with; empty where the settings do not say. */
export function processorName(processor: Settings): string {
  const type = stringOf(processor.image_processor_type) ?? stringOf(processor.feature_extractor_type) ?? ''
  return type.replace(/(?:ImageProcessor|FeatureExtractor)(?:Fast|Pil)?$/, '')
}

/** Undefined for a processor that is not known here. */
export function familyOf(processor: Settings): ImageFamily | undefined {
  const name = processorName(processor)
  return Object.hasOwn(FAMILIES, name) ? FAMILIES[name] : undefined
}
