import type { CompatibilityRow } from '../row.ts'

const DETECTION = 'test/e2e/object-detection.full.ts'
const KEYPOINTS = 'test/tasks/keypoint-detection.worker.test.ts'
const PNG = "-H 'content-type: image/png' --data-binary @photo.png"

export const rows: readonly CompatibilityRow[] = [
  {
    group: 'pipelines',
    what: '`object-detection`',
    note: 'DETR and YOLOS beside the pipeline. RT-DETR beside its definition: the pipeline takes a softmax where RT-DETR has none',
    state: 'works',
    client: '@huggingface/transformers',
    proof: { file: DETECTION, test: 'answers what its pipeline answers: %s' },
    curl: `curl $VERGE/run/detr ${PNG}`,
  },
  {
    group: 'pipelines',
    what: '`keypoint-detection` (a task of the hub; transformers.js has the models, and no pipeline)',
    state: 'works',
    client: 'its documentation',
    proof: { file: KEYPOINTS, test: 'is where the published algorithm puts it: %f, %f' },
    curl: `curl $VERGE/run/colour-points ${PNG}`,
  },
  {
    group: 'huggingface',
    what: '`objectDetection`',
    state: 'works',
    client: '@huggingface/inference',
    proof: { file: DETECTION, test: "is called by Hugging Face's client" },
    curl: `curl $VERGE/huggingface/models/detr ${PNG}`,
  },
]
