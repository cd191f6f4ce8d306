import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { describeModel } from '../../../src/cli/describe/describe.ts'
import { FAMILY_NAMES, familyNamed } from '../../../src/cli/describe/families/index.ts'
import { descriptionSchema } from '../../../src/cli/pack/description.ts'
import type { Datatype, Signature } from '../../../src/core/tensors.ts'
import { type Sources, startSources } from '../../fixtures/node/describe.ts'

type Spec = readonly [name: string, datatype: Datatype, ...shape: (number | string)[]]
const specs = (list: readonly Spec[]) => list.map(([name, datatype, ...shape]) => ({ name, datatype, shape }))
const like = (inputs: readonly Spec[], outputs: readonly Spec[]): Signature => ({
  inputs: specs(inputs),
  outputs: specs(outputs),
})

const ANY: Spec = ['pixel_values', 'FP32', 'batch', 3, 'height', 'width']
const SQUARE: Spec = ['images', 'FP32', 1, 3, 640, 640]
const queries = (queries: number, classes: number): Spec[] => [
  ['logits', 'FP32', 'batch', queries, classes],
  ['pred_boxes', 'FP32', 'batch', queries, 4],
]
const IMAGENET = { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] }
/** As facebook/detr-resnet-50 has it. */
const DETR = {
  ...IMAGENET,
  do_normalize: true,
  do_pad: true,
  do_rescale: true,
  do_resize: true,
  format: 'coco_detection',
  image_processor_type: 'DetrImageProcessor',
  resample: 2,
  rescale_factor: 0.00392156862745098,
  size: { longest_edge: 1333, shortest_edge: 800 },
}
const named = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [String(i), `thing ${i}`]))

let sources: Sources
beforeEach(async () => {
  sources = await startSources()
})
afterEach(() => sources.remove())

async function lone(signature: Signature, { family, metadata = {} }: { family?: string; metadata?: object } = {}) {
  const { description, notes } = await describeModel({
    source: await sources.make({}),
    signature,
    metadata: new Map(Object.entries(metadata)),
    ...(family !== undefined && { overrides: { family } }),
  })
  expect(descriptionSchema.safeParse(description).error).toBeUndefined()
  return { description, notes: notes.join('\n') }
}

describe("a detector of transformers'", () => {
  const detector = async (architecture: string, labels: number, signature: Signature, processor: object = DETR) =>
    (
      await sources.describe(
        {
          'config.json': { architectures: [architecture], id2label: named(labels) },
          'preprocessor_config.json': processor,
        },
        signature,
      )
    ).description

  it('DETR keeps proportions, masks nothing, and says nothing by its last class', async () => {
    const mask: Spec = ['pixel_mask', 'INT64', 'batch', 64, 64]
    const description = await detector('DetrForObjectDetection', 91, like([ANY, mask], queries(100, 92)))
    expect(description).toMatchObject({
      task: 'object-detection',
      activation: 'softmax',
      preprocess: {
        image: { fit: 'shortest', resize: 800, size: [1333, 1333], mode: 'RGB', mean: IMAGENET.image_mean },
      },
      postprocess: { detection: { head: 'detr', boxes: 'cxcywh', units: 'relative', threshold: 0.5, iou: 1 } },
    })
    expect(description.labels).toHaveLength(91)
  })

  it('is stretched where its export has a fixed size, with a note', async () => {
    const fixed: Spec = ['pixel_values', 'FP32', 1, 3, 480, 640]
    const { description, notes } = await sources.describe(
      {
        'config.json': { architectures: ['DetrForObjectDetection'], id2label: named(91) },
        'preprocessor_config.json': DETR,
      },
      like([fixed], queries(100, 92)),
    )
    expect(description.preprocess?.image).toMatchObject({ fit: 'stretch', size: [480, 640] })
    expect(notes.join('\n')).toMatch(/stretched to 640 x 480; in training they kept their aspect ratio, up to 1333/)
  })

  it.each([
    ['ConditionalDetrForObjectDetection', 91, 91, 'sigmoid'],
    ['DeformableDetrForObjectDetection', 91, 91, 'sigmoid'],
    ['RTDetrForObjectDetection', 80, 80, 'sigmoid'],
    ['RTDetrV2ForObjectDetection', 80, 80, 'sigmoid'],
    ['DFineForObjectDetection', 80, 80, 'sigmoid'],
    ['TableTransformerForObjectDetection', 2, 3, 'softmax'],
    ['YolosForObjectDetection', 91, 92, 'softmax'],
    // With `use_focal_loss=False` RT-DETR has a class for nothing, too.
    ['RTDetrForObjectDetection', 80, 81, 'softmax'],
  ] as const)('%s with %i labels and %i scores takes the %4$s', async (architecture, labels, scores, activation) => {
    const description = await detector(architecture, labels, like([ANY], queries(300, scores)))
    expect(description).toMatchObject({ activation, labels: Object.values(named(labels)) })
  })

  it('YOLOS cuts sides to whole patches; RT-DETR stretches to its square', async () => {
    const yolos = {
      ...DETR,
      image_processor_type: 'YolosImageProcessor',
      size: { shortest_edge: 512, longest_edge: 1333 },
    }
    expect(
      (await detector('YolosForObjectDetection', 91, like([ANY], queries(100, 92)), yolos)).preprocess?.image,
    ).toMatchObject({ fit: 'shortest', resize: 512, multiple: 16, size: [1333, 1333] })
    const square = {
      image_processor_type: 'RTDetrImageProcessor',
      size: { height: 640, width: 640 },
      do_normalize: false,
    }
    expect(
      (await detector('RTDetrForObjectDetection', 80, like([ANY], queries(300, 80)), square)).preprocess?.image,
    ).toEqual({ fit: 'stretch', size: [640, 640], mode: 'RGB', rescale: 1 / 255, layout: 'NCHW' })
  })

  it('in the export of its own authors ends with boxes in pixels', async () => {
    const inputs: Spec[] = [SQUARE, ['orig_target_sizes', 'INT64', 'N', 2]]
    const outputs: Spec[] = [
      ['labels', 'INT64', 'N', 300],
      ['boxes', 'FP32', 'N', 300, 4],
      ['scores', 'FP32', 'N', 300],
    ]
    const { description } = await lone(like(inputs, outputs), { family: 'd-fine' })
    expect(description).toMatchObject({
      task: 'object-detection',
      preprocess: { image: { fit: 'stretch', size: [640, 640] } },
      postprocess: { detection: { head: 'end-to-end', boxes: 'xyxy', units: 'pixels' } },
    })
    expect(description.labels?.[79]).toBe('toothbrush')
  })

  it('is served as tensors where its outputs or labels are others, and the note says why', async () => {
    const files = {
      'config.json': { architectures: ['DetrForObjectDetection'], id2label: named(5) },
      'preprocessor_config.json': DETR,
    }
    expect(await sources.notes(files, like([ANY], queries(100, 92)))).toMatch(
      /raw tensors: there are 5 labels, but its output has 92 classes/,
    )
    expect(await sources.notes(files, like([ANY], [['out', 'FP32', 1, 100, 6]]))).toMatch(
      /raw tensors: it has no outputs "logits" and "pred_boxes"; export it with Optimum/,
    )
  })
})

describe('a file of Ultralytics', () => {
  /** As `Exporter.metadata` of Ultralytics 8 writes it. */
  const METADATA = {
    description: 'Ultralytics YOLOv8n model trained on coco8.yaml',
    author: 'Ultralytics',
    stride: '32',
    task: 'detect',
    batch: '1',
    imgsz: '[320, 416]',
    names: `{0: 'person', 1: "child's seat", 2: 'a \\'quoted\\' thing'}`,
  }
  const NAMES = ['person', "child's seat", "a 'quoted' thing"]
  const columns = (width: number): Spec[] => [['output0', 'FP32', 1, width, 2730]]

  it('describes itself', async () => {
    const fixed: Spec = ['images', 'FP32', 1, 3, 320, 416]
    const { description, notes } = await lone(like([fixed], columns(7)), { metadata: METADATA })
    expect(description).toMatchObject({
      task: 'object-detection',
      labels: NAMES,
      activation: 'none',
      preprocess: { image: { fit: 'letterbox', pad: 114, size: [320, 416], rescale: 1 / 255, mode: 'RGB' } },
      postprocess: { detection: { head: 'yolo', boxes: 'cxcywh', units: 'pixels', threshold: 0.25, iou: 0.7 } },
    })
    expect(notes).toMatch(/task object-detection, by the names that Ultralytics wrote into its file \(task detect\)/)
  })

  it('says the size of a model that takes any', async () => {
    const { description } = await lone(like([ANY], columns(7)), { metadata: METADATA })
    expect(description.preprocess?.image?.size).toEqual([320, 416])
  })

  it('of a segmentation answers boxes', async () => {
    const outputs: Spec[] = [...columns(7 + 32), ['output1', 'FP32', 1, 32, 80, 104]]
    const { description, notes } = await lone(like([SQUARE], outputs), { metadata: { ...METADATA, task: 'segment' } })
    expect(description.postprocess?.detection).toMatchObject({ head: 'yolo', extra: 32, scoresOutput: 'output0' })
    expect(notes).toMatch(/masks are not answered, only boxes/)
  })

  it('of poses says its points', async () => {
    const pose = { ...METADATA, task: 'pose', names: "{0: 'dog'}", kpt_shape: '[24, 3]' }
    const { description } = await lone(like([SQUARE], columns(5 + 72)), { metadata: pose })
    expect(description).toMatchObject({
      task: 'keypoint-detection',
      labels: ['dog'],
      postprocess: { keypoints: { head: 'yolo', numbers: 3 } },
    })
    expect(description.postprocess?.keypoints?.names).toHaveLength(24)
    const person = { ...METADATA, task: 'pose', names: "{0: 'person'}", kpt_shape: '[17, 3]' }
    const own = (await lone(like([SQUARE], columns(56)), { metadata: person })).description.postprocess?.keypoints
    expect(own?.names[0]).toBe('nose')
    expect(own?.skeleton).toHaveLength(19)
    const names = {
      ...METADATA,
      task: 'pose',
      names: "{0: 'x'}",
      kpt_shape: '[2, 2]',
      kpt_names: "{0: ['head', 'tail']}",
    }
    expect(
      (await lone(like([SQUARE], columns(9)), { metadata: names })).description.postprocess?.keypoints,
    ).toMatchObject({
      names: ['head', 'tail'],
      numbers: 2,
    })
  })

  it('of a classifier crops, and takes shares as they are', async () => {
    const { description } = await lone(like([['images', 'FP32', 1, 3, 224, 224]], [['output0', 'FP32', 1, 3]]), {
      metadata: { ...METADATA, task: 'classify', imgsz: '[224, 224]' },
    })
    expect(description).toMatchObject({
      task: 'image-classification',
      labels: NAMES,
      activation: 'none',
      preprocess: { image: { fit: 'crop', resize: 224, size: [224, 224], rescale: 1 / 255 } },
    })
  })

  it('of rotated boxes is served as tensors', async () => {
    const { description, notes } = await lone(like([SQUARE], columns(8)), { metadata: { ...METADATA, task: 'obb' } })
    expect(description.task).toBeUndefined()
    expect(notes).toMatch(/it answers rotated boxes, which Verge does not support/)
  })

  it.each([
    '',
    '{',
    "{0: 'a'",
    "{1: 'a'}",
    "{0: 'a', 2: 'b'}",
    '{0: a}',
    `{0: '${'x'.repeat(2_000_000)}'}`,
    "{0: 'a'} more",
  ])('is not recognised by names that are none', async (names) => {
    const { description } = await lone(like([SQUARE], columns(7)), { metadata: { ...METADATA, names } })
    expect(description.task).toBeUndefined()
  })
})

describe('a lone file with the preset of a family', () => {
  it.each([
    ['yolov5', [['output0', 'FP32', 1, 25200, 85]], { head: 'yolo', boxes: 'cxcywh', iou: 0.45 }],
    ['yolov8', [['output0', 'FP32', 1, 84, 8400]], { head: 'yolo', boxes: 'cxcywh', iou: 0.7 }],
    ['yolov10', [['output0', 'FP32', 1, 300, 6]], { head: 'end-to-end', boxes: 'xyxy' }],
    ['yolov7', [['output', 'FP32', 'n', 7]], { head: 'end-to-end' }],
    ['yolox', [['output', 'FP32', 1, 8400, 85]], { head: 'yolo', decode: 'yolox', objectness: true }],
    [
      'yolo-nas',
      [
        ['boxes', 'FP32', 1, 8400, 4],
        ['scores', 'FP32', 1, 8400, 80],
      ],
      { head: 'ssd', boxes: 'xyxy' },
    ],
    [
      'yolov8',
      [
        ['num_dets', 'INT32', 1, 1],
        ['det_boxes', 'FP32', 1, 100, 4],
        ['det_scores', 'FP32', 1, 100],
        ['det_classes', 'INT32', 1, 100],
      ],
      { head: 'end-to-end', boxes: 'xyxy' },
    ],
    [
      'yolov5',
      [
        ['boxes', 'FP32', 1, 8400, 4],
        ['scores', 'FP32', 1, 80, 8400],
        ['selected', 'INT64', 'k', 3],
      ],
      { head: 'selected', boxes: 'yxyx' },
    ],
  ] as const)('%s with outputs %j', async (family, outputs, detection) => {
    const { description, notes } = await lone(like([SQUARE], outputs as unknown as Spec[]), { family })
    expect(description.task).toBe('object-detection')
    expect(description.postprocess?.detection).toMatchObject(detection)
    expect(description.labels).toHaveLength(80)
    expect(notes).toMatch(/by the preset/)
    expect(notes).toContain(`settings of the preset are from ${familyNamed(family)?.source}`)
  })

  it('has classes by number where it was trained for others', async () => {
    const { description } = await lone(like([SQUARE], [['output0', 'FP32', 1, 11, 8400]]), { family: 'yolov8' })
    expect(description.labels).toEqual(['LABEL_0', 'LABEL_1', 'LABEL_2', 'LABEL_3', 'LABEL_4', 'LABEL_5', 'LABEL_6'])
  })

  it('is refused where its boxes are relative to anchors', async () => {
    const raw: Spec[] = [80, 40, 20].map((side, i): Spec => [`out${i}`, 'FP32', 1, 3, side, side, 85])
    await expect(lone(like([SQUARE], raw), { family: 'yolov7' })).rejects.toThrow(
      /cannot be served as object-detection: its output "out0" has boxes relative to anchors; export the model with its grid/,
    )
  })

  it('gives the files of Hugging Face that are missing', async () => {
    const { description } = await lone(like([ANY], queries(100, 92)), { family: 'detr' })
    expect(description).toMatchObject({ task: 'object-detection', activation: 'softmax' })
    expect(description.labels?.slice(0, 4)).toEqual(['N/A', 'person', 'bicycle', 'car'])
    expect(description.labels?.[90]).toBe('toothbrush')
    expect(description.preprocess?.image).toMatchObject({ fit: 'shortest', resize: 800 })
  })

  it('does not go together with a verge.json', async () => {
    const source = await sources.make({ 'verge.json': { name: 'x' } })
    await expect(
      describeModel({ source, signature: like([SQUARE], queries(1, 2)), overrides: { family: 'yolov8' } }),
    ).rejects.toThrow(/--preset yolov8 describes the whole model, but a verge.json beside it does so, too/)
  })

  it.each(FAMILY_NAMES)('%s names its source', (name) => {
    const family = familyNamed(name)
    expect(URL.canParse(family?.source ?? '')).toBe(true)
    expect(family?.about).not.toBe('')
  })
})
