import type { TaskName } from '../../catalog/manifest.ts'
import type { Recogniser } from './context.ts'
import { describeDetector } from './detector.ts'
import { familyNamed } from './families/index.ts'
import { describeImageClassifier } from './image-classifier.ts'
import { sizedBy } from './image-fields.ts'
import { describePose } from './pose.ts'
import { ultralyticsFacts } from './ultralytics.ts'

/** Tasks of Ultralytics. Of segmentation, the boxes alone are answered. */
const TASKS: Readonly<Record<string, TaskName>> = {
  detect: 'object-detection',
  segment: 'object-detection',
  pose: 'keypoint-detection',
  classify: 'image-classification',
}

/** Recognises a model by what Ultralytics writes into its files. */
export const recogniseUltralytics: Recogniser = async (context) => {
  const facts = ultralyticsFacts(context.metadata)
  if (facts === undefined || context.family !== undefined) return undefined
  if (facts.task === 'obb') return { problem: 'it answers rotated boxes, which Verge does not support' }
  const task = TASKS[facts.task]
  if (task === undefined || (context.said.task !== undefined && context.said.task !== task)) return undefined
  const known = { task, why: `by the names that Ultralytics wrote into its file (task ${facts.task})` }
  const described = { ...context, ...known, architecture: undefined, processor: undefined, timm: undefined }
  if (task === 'object-detection') return describeDetector(described)
  if (task === 'keypoint-detection') return describePose({ ...described, family: familyNamed('yolov8-pose') })
  // Its classifiers answer shares: the softmax is in the graph.
  const said = { ...context.said, labels: context.said.labels ?? [...facts.names], activation: 'none' as const }
  const wishes = sizedBy(context, facts.size)
  return describeImageClassifier({ ...described, said, wishes, family: CLASSIFIER })
}

/** `classify_transforms` of Ultralytics: the shorter side to the size, then the middle; 0 to 1. */
const CLASSIFIER = {
  task: 'image-classification',
  about: 'Ultralytics',
  source: 'https://docs.ultralytics.com/tasks/classify/',
  image: { rescale: 1 / 255, cutFrom: 1 },
} as const
