import type { TaskName } from '../../../catalog/manifest.ts'
import type { Settings } from '../settings.ts'
import type { Families, Family } from './family.ts'

const UNIT = 1 / 255
const IMAGENET: Settings = { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] }

/** A model of transformers, by the processor of its first published model. */
function transformers(
  task: TaskName,
  about: string,
  source: string,
  architecture: string,
  processor: Settings,
): Family {
  return { task, about, source, config: { architectures: [architecture] }, processor: { ...IMAGENET, ...processor } }
}

/** A model that cuts things out of pictures of `side`, with its published mean and deviation. */
function matte(
  about: string,
  source: string,
  { side, mean, std, normalize = false }: { side: number; mean: number[]; std: number[]; normalize?: boolean },
): Family {
  return {
    task: 'background-removal',
    about,
    source,
    image: { rescale: UNIT, mean, std, side },
    postprocess: { matte: { activation: 'auto', normalize } },
  }
}

const HALF = [0.5, 0.5, 0.5]
const ONE = [1, 1, 1]
const MEAN = [0.485, 0.456, 0.406]
const DEVIATION = [0.229, 0.224, 0.225]

/** Models that answer a number for each pixel: segmentation, background removal, depth. */
export const PICTURE_MAPS: Families = {
  segformer: transformers(
    'image-segmentation',
    'SegFormer: a class for each pixel',
    'https://huggingface.co/nvidia/segformer-b0-finetuned-ade-512-512',
    'SegformerForSemanticSegmentation',
    { image_processor_type: 'SegformerImageProcessor', size: { height: 512, width: 512 }, resample: 2 },
  ),
  mask2former: transformers(
    'image-segmentation',
    'Mask2Former: things and classes',
    'https://huggingface.co/facebook/mask2former-swin-tiny-coco-panoptic',
    'Mask2FormerForUniversalSegmentation',
    { image_processor_type: 'Mask2FormerImageProcessor', size: { height: 384, width: 384 }, size_divisor: 32 },
  ),
  maskformer: transformers(
    'image-segmentation',
    'MaskFormer: things and classes',
    'https://huggingface.co/facebook/maskformer-swin-tiny-coco',
    'MaskFormerForInstanceSegmentation',
    {
      image_processor_type: 'MaskFormerImageProcessor',
      size: { shortest_edge: 800, longest_edge: 1333 },
      size_divisor: 32,
    },
  ),
  'detr-panoptic': transformers(
    'image-segmentation',
    'DETR with masks: things and classes',
    'https://huggingface.co/facebook/detr-resnet-50-panoptic',
    'DetrForSegmentation',
    { image_processor_type: 'DetrImageProcessor', size: { shortest_edge: 800, longest_edge: 1333 } },
  ),
  'depth-anything': transformers(
    'depth-estimation',
    'Depth Anything, V1 and V2',
    'https://huggingface.co/depth-anything/Depth-Anything-V2-Small-hf',
    'DepthAnythingForDepthEstimation',
    {
      image_processor_type: 'DPTImageProcessor',
      size: { height: 518, width: 518 },
      keep_aspect_ratio: true,
      ensure_multiple_of: 14,
      resample: 3,
    },
  ),
  dpt: {
    ...transformers(
      'depth-estimation',
      'DPT (MiDaS 3.0)',
      'https://huggingface.co/Intel/dpt-large',
      'DPTForDepthEstimation',
      { image_processor_type: 'DPTImageProcessor', size: { height: 384, width: 384 }, resample: 2 },
    ),
    processor: {
      image_processor_type: 'DPTImageProcessor',
      image_mean: HALF,
      image_std: HALF,
      size: { height: 384, width: 384 },
      resample: 2,
    },
  },
  midas: {
    task: 'depth-estimation',
    about: 'MiDaS 2.1',
    source: 'https://github.com/isl-org/MiDaS',
    image: { rescale: UNIT, mean: MEAN, std: DEVIATION, side: 256, resample: 'bicubic' },
  },
  rmbg: matte('RMBG 1.4', 'https://huggingface.co/briaai/RMBG-1.4', {
    side: 1024,
    mean: HALF,
    std: ONE,
    normalize: true,
  }),
  birefnet: matte('BiRefNet', 'https://huggingface.co/ZhengPeng7/BiRefNet', {
    side: 1024,
    mean: MEAN,
    std: DEVIATION,
  }),
  modnet: matte('MODNet: portraits', 'https://github.com/ZHKKKe/MODNet', { side: 512, mean: HALF, std: HALF }),
  u2net: matte('U2-Net', 'https://github.com/xuebinqin/U-2-Net', {
    side: 320,
    mean: MEAN,
    std: DEVIATION,
    normalize: true,
  }),
  isnet: matte('IS-Net', 'https://github.com/xuebinqin/DIS', { side: 1024, mean: HALF, std: ONE, normalize: true }),
}
