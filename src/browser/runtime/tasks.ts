import type { TaskName } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { type BoundTask, bindTask, withFiniteAnswers } from '../../tasks/task.ts'

type Load = (limits: Limits) => Promise<BoundTask>

/**
 * The Worker's own tasks, each fetched when a model needs it: a page with one model downloads the code of one task. Texts
 * are not continued in a browser: their templates and decoders would be most of the download.
 */
const TASKS: Readonly<Record<Exclude<TaskName, 'text-generation'>, Load>> = {
  'image-classification': async (limits) =>
    bindTask((await import('../../tasks/image-classification.ts')).imageClassification(limits)),
  'object-detection': async (limits) => (await import('../../tasks/object-detection.ts')).objectDetection(limits),
  'image-feature-extraction': async (limits) =>
    bindTask((await import('../../tasks/image-feature-extraction.ts')).imageFeatureExtraction(limits)),
  'keypoint-detection': async (limits) => (await import('../../tasks/keypoint-detection.ts')).keypointDetection(limits),
  'image-to-image': async (limits) => (await import('../../tasks/image-to-image.ts')).imageToImage(limits),
  'image-segmentation': async (limits) => (await import('../../tasks/image-segmentation.ts')).imageSegmentation(limits),
  'background-removal': async (limits) => (await import('../../tasks/background-removal.ts')).backgroundRemoval(limits),
  'depth-estimation': async (limits) => (await import('../../tasks/depth-estimation.ts')).depthEstimation(limits),
  'bytes-classification': async (limits) =>
    (await import('../../tasks/bytes-classification.ts')).bytesClassification(limits),
  'tabular-classification': async (limits) =>
    bindTask((await import('../../tasks/tabular-classification.ts')).tabularClassification(limits)),
  'tabular-regression': async (limits) =>
    bindTask((await import('../../tasks/tabular-regression.ts')).tabularRegression(limits)),
  'audio-classification': async (limits) =>
    bindTask((await import('../../tasks/audio-classification.ts')).audioClassification(limits)),
  'voice-activity-detection': async (limits) =>
    (await import('../../tasks/voice-activity-detection.ts')).voiceActivityDetection(limits),
  'text-classification': async (limits) =>
    (await import('../../tasks/text-classification.ts')).textClassification(limits),
  'token-classification': async (limits) =>
    (await import('../../tasks/token-classification.ts')).tokenClassification(limits),
  'question-answering': async (limits) => (await import('../../tasks/question-answering.ts')).questionAnswering(limits),
  'zero-shot-classification': async (limits) =>
    (await import('../../tasks/zero-shot-classification.ts')).zeroShotClassification(limits),
  'zero-shot-image-classification': async (limits) =>
    (await import('../../tasks/zero-shot-image-classification.ts')).zeroShotImageClassification(limits),
  'image-text-similarity': async (limits) =>
    (await import('../../tasks/image-text-similarity.ts')).imageTextSimilarity(limits),
  'zero-shot-audio-classification': async (limits) =>
    (await import('../../tasks/zero-shot-audio-classification.ts')).zeroShotAudioClassification(limits),
  'fill-mask': async (limits) => (await import('../../tasks/fill-mask.ts')).fillMask(limits),
  'feature-extraction': async (limits) => (await import('../../tasks/feature-extraction.ts')).featureExtraction(limits),
  'sentence-similarity': async (limits) =>
    (await import('../../tasks/sentence-similarity.ts')).sentenceSimilarity(limits),
  'text-ranking': async (limits) => (await import('../../tasks/text-ranking.ts')).textRanking(limits),
}

/**
 * The task of a model. @throws task_mismatch where the model has none, engine_unsupported where it is one that only
 * Workers and origins do
 */
export async function loadTask(
  { model, task }: { readonly model: string; readonly task?: string | undefined },
  limits: Limits,
): Promise<BoundTask> {
  if (task === undefined) {
    throw new VergeError('task_mismatch', `Model "${model}" has no task. Send tensors instead.`)
  }
  if (!Object.hasOwn(TASKS, task)) {
    throw new VergeError(
      'engine_unsupported',
      `Browsers do not do ${task.slice(0, 100)}. Send the request to the Worker.`,
    )
  }
  return withFiniteAnswers(await TASKS[task as keyof typeof TASKS](limits))
}
