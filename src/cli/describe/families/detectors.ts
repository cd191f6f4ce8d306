import type { DetectionSettings } from '../../../catalog/settings/detection.ts'
import type { Settings } from '../settings.ts'
import { COCO, COCO_IDS } from './coco.ts'
import type { Families, Family } from './family.ts'

const UNIT = 1 / 255
const ULTRALYTICS = 'https://docs.ultralytics.com/modes/export/'
const IMAGENET: Settings = { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] }

/** Of the YOLO family: the whole picture within grey margins. */
const LETTERBOX = { fit: 'letterbox', pad: 114, rescale: UNIT, side: 640 } as const
/** Least score and greatest overlap in Ultralytics' and YOLOv5's own prediction. */
const DETECTION = { head: 'yolo', boxes: 'cxcywh', threshold: 0.25, iou: 0.7 } as const

function yolo(about: string, source: string, detection: Partial<DetectionSettings> = {}): Family {
  return {
    task: 'object-detection',
    about,
    source,
    image: LETTERBOX,
    labels: COCO,
    detection: { ...DETECTION, ...detection },
  }
}

/** A detector of transformers, by the processor and the configuration of its first published model. */
function transformers(about: string, source: string, config: Settings, processor: Settings): Family {
  return { task: 'object-detection', about, source, config, processor }
}

/** `preprocessor_config.json` of facebook/detr-resnet-50. */
const DETR: Settings = {
  ...IMAGENET,
  image_processor_type: 'DetrImageProcessor',
  size: { shortest_edge: 800, longest_edge: 1333 },
}
/** `preprocessor_config.json` of PekingU/rtdetr_r50vd. */
const RT_DETR: Settings = {
  image_processor_type: 'RTDetrImageProcessor',
  size: { height: 640, width: 640 },
  do_normalize: false,
  do_pad: false,
  resample: 2,
}
const COCO_LABELS: Settings = { id2label: Object.fromEntries(COCO.entries()) }

/** Detectors of objects. */
export const DETECTORS: Families = {
  yolov3: yolo('YOLOv3 by Ultralytics, rows with objectness', ULTRALYTICS),
  yolov5: yolo('YOLOv5, rows with objectness', 'https://github.com/ultralytics/yolov5', { iou: 0.45 }),
  yolov6: yolo('YOLOv6', 'https://github.com/meituan/YOLOv6', { iou: 0.45 }),
  yolov7: yolo('YOLOv7, with or without suppression inside', 'https://github.com/WongKinYiu/yolov7', { iou: 0.45 }),
  yolov8: yolo('YOLOv8', ULTRALYTICS),
  yolov9: yolo('YOLOv9', ULTRALYTICS),
  yolov10: yolo('YOLOv10, end to end', ULTRALYTICS, { head: 'end-to-end', boxes: 'xyxy' }),
  yolo11: yolo('YOLO11', ULTRALYTICS),
  yolo12: yolo('YOLO12', ULTRALYTICS),
  yolo26: yolo('YOLO26, end to end or not', ULTRALYTICS),
  yolox: {
    ...yolo('YOLOX, grids not decoded', 'https://github.com/Megvii-BaseDetection/YOLOX', {
      decode: 'yolox',
      objectness: true,
      threshold: 0.3,
      iou: 0.45,
    }),
    image: { mode: 'BGR', fit: 'letterbox', anchor: 'start', pad: 114, rescale: 1, side: 640 },
  },
  'yolo-nas': yolo('YOLO-NAS, boxes and scores', 'https://github.com/Deci-AI/super-gradients', {
    head: 'ssd',
    boxes: 'xyxy',
  }),
  detr: transformers(
    'DETR',
    'https://huggingface.co/facebook/detr-resnet-50',
    { architectures: ['DetrForObjectDetection'], id2label: COCO_IDS },
    DETR,
  ),
  'conditional-detr': transformers(
    'Conditional DETR',
    'https://huggingface.co/microsoft/conditional-detr-resnet-50',
    { architectures: ['ConditionalDetrForObjectDetection'], id2label: COCO_IDS },
    { ...DETR, image_processor_type: 'ConditionalDetrImageProcessor' },
  ),
  'deformable-detr': transformers(
    'Deformable DETR',
    'https://huggingface.co/SenseTime/deformable-detr',
    { architectures: ['DeformableDetrForObjectDetection'], id2label: COCO_IDS },
    { ...DETR, image_processor_type: 'DeformableDetrImageProcessor' },
  ),
  'table-transformer': transformers(
    'Table Transformer: tables in pages',
    'https://huggingface.co/microsoft/table-transformer-detection',
    { architectures: ['TableTransformerForObjectDetection'], id2label: { 0: 'table', 1: 'table rotated' } },
    { ...DETR, size: { shortest_edge: 800, longest_edge: 800 } },
  ),
  yolos: transformers(
    'YOLOS',
    'https://huggingface.co/hustvl/yolos-tiny',
    { architectures: ['YolosForObjectDetection'], id2label: COCO_IDS },
    { ...IMAGENET, image_processor_type: 'YolosImageProcessor', size: { shortest_edge: 512, longest_edge: 1333 } },
  ),
  'rt-detr': transformers(
    'RT-DETR, of transformers or with the answer inside',
    'https://huggingface.co/PekingU/rtdetr_r50vd',
    { architectures: ['RTDetrForObjectDetection'], ...COCO_LABELS },
    RT_DETR,
  ),
  'rt-detr-v2': transformers(
    'RT-DETRv2, of transformers or with the answer inside',
    'https://huggingface.co/PekingU/rtdetr_v2_r50vd',
    { architectures: ['RTDetrV2ForObjectDetection'], ...COCO_LABELS },
    RT_DETR,
  ),
  'd-fine': transformers(
    'D-FINE, of transformers or with the answer inside',
    'https://huggingface.co/ustc-community/dfine-small-coco',
    { architectures: ['DFineForObjectDetection'], ...COCO_LABELS },
    RT_DETR,
  ),
}
