import type { KeypointSettings } from '../../../catalog/settings/keypoints.ts'
import type { Families, Family } from './family.ts'

/** The 17 points of a person in COCO. */
export const PERSON_POINTS: readonly string[] = [
  ...['nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder', 'left_elbow'],
  ...['right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle'],
  'right_ankle',
]

/** COCO's own skeleton, counted from 0. */
export const PERSON_SKELETON: readonly (readonly [number, number])[] = [
  ...([
    [15, 13],
    [13, 11],
    [16, 14],
    [14, 12],
    [11, 12],
    [5, 11],
    [6, 12],
  ] as const),
  ...([
    [5, 6],
    [5, 7],
    [6, 8],
    [7, 9],
    [8, 10],
    [1, 2],
    [0, 1],
    [0, 2],
    [1, 3],
    [2, 4],
    [3, 5],
    [4, 6],
  ] as const),
]

const UNIT = 1 / 255

function person(
  about: string,
  source: string,
  image: NonNullable<Family['image']>,
  keypoints: Pick<KeypointSettings, 'head'> & Partial<KeypointSettings>,
): Family {
  const skeleton = PERSON_SKELETON.map(([a, b]): [number, number] => [a, b])
  return {
    task: 'keypoint-detection',
    about,
    source,
    image,
    keypoints: { names: [...PERSON_POINTS], skeleton, ...keypoints },
  }
}

const ULTRALYTICS = 'https://docs.ultralytics.com/tasks/pose/'
const YOLO = { fit: 'letterbox', pad: 114, rescale: UNIT, side: 640 } as const
const MOVENET = { fit: 'letterbox', pad: 0, rescale: 1 } as const
/** [height, width] of a standing person. */
const PERSON = [256, 192] as const
/** ImageNet's, in samples of 0 to 255. */
const IMAGENET_BYTES = { rescale: 1, mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] } as const

/** Models that find the points of persons. */
export const POSES: Families = {
  'yolov8-pose': person('YOLOv8-pose', ULTRALYTICS, YOLO, { head: 'yolo' }),
  'yolo11-pose': person('YOLO11-pose', ULTRALYTICS, YOLO, { head: 'yolo' }),
  'yolo26-pose': person('YOLO26-pose, end to end or not', ULTRALYTICS, YOLO, { head: 'yolo' }),
  movenet: person(
    'MoveNet of one person (Lightning: --size 192, Thunder: --size 256)',
    'https://www.kaggle.com/models/google/movenet',
    { ...MOVENET, side: 192 },
    { head: 'movenet', threshold: 0.2 },
  ),
  'movenet-multipose': person(
    'MoveNet of six persons',
    'https://www.kaggle.com/models/google/movenet',
    { ...MOVENET, side: 256 },
    { head: 'movenet-multipose', threshold: 0.2 },
  ),
  vitpose: person(
    'ViTPose of one person, who fills the picture',
    'https://huggingface.co/usyd-community/vitpose-base-simple',
    { fit: 'letterbox', pad: 0, rescale: UNIT, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], side: PERSON },
    { head: 'heatmaps', refine: 'dark', threshold: 0 },
  ),
  rtmpose: person(
    'RTMPose of one person, who fills the picture',
    'https://github.com/open-mmlab/mmpose/tree/main/projects/rtmpose',
    { fit: 'letterbox', pad: 0, side: PERSON, ...IMAGENET_BYTES },
    { head: 'simcc', threshold: 0 },
  ),
}
