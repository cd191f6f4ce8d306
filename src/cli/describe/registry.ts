import type { TaskName } from '../../catalog/manifest.ts'
import { guessAudio } from './audio.ts'
import { guessBytes } from './bytes.ts'
import type { Describer, Recogniser } from './context.ts'
import { describeDetector } from './detector.ts'
import { embeddingGuess } from './embedding.ts'
import { guessGeneration } from './generation.ts'
import { describeImageClassifier } from './image-classifier.ts'
import { describeImageFeatures } from './image-features.ts'
import { describeMaskFiller } from './mask-filler.ts'
import { describeDepth, describeMatte } from './picture-maps.ts'
import { describePose } from './pose.ts'
import { describeSegmentation } from './segmentation.ts'
import { describeSoundsAndTexts } from './sounds-and-texts.ts'
import { guessTabular } from './tabular.ts'
import { describeTextClassifier, describeTextSpans } from './text-classifier.ts'
import { describePicturesAndTexts } from './two-encoders.ts'
import { recogniseUltralytics } from './ultralytics-model.ts'

/**
 * Tasks by the architecture that `config.json` names. The first line that matches counts. A task here needs a line in
 * `DESCRIBERS`.
 */
export const HEADS: readonly (readonly [RegExp, keyof typeof DESCRIBERS])[] = [
  [/ForSequenceClassification$/, 'text-classification'],
  [/ForTokenClassification$/, 'token-classification'],
  [/ForMaskedLM$/, 'fill-mask'],
  [/ForQuestionAnswering$/, 'question-answering'],
  [/ForImageClassification(WithTeacher)?$/, 'image-classification'],
  [/^ClapModel$/, 'zero-shot-audio-classification'],
  [/^(?:CLIP|ChineseCLIP|Siglip)Model$/, 'zero-shot-image-classification'],
  [/ForObjectDetection$/, 'object-detection'],
  [/ForPoseEstimation$/, 'keypoint-detection'],
  [/For(?:Semantic|Instance|Universal)?Segmentation$/, 'image-segmentation'],
  [/ForDepthEstimation$/, 'depth-estimation'],
  [/^(?:BriaRMBG|BiRefNet|MODNet|ISNet|U2Net)\w*$/i, 'background-removal'],
]

/** Describes models of a task: by their head, or because a person asks for the task. */
const DESCRIBERS = {
  'text-classification': describeTextClassifier,
  'token-classification': describeTextClassifier,
  'zero-shot-classification': describeTextClassifier,
  'question-answering': describeTextSpans,
  'fill-mask': describeMaskFiller,
  'zero-shot-image-classification': describePicturesAndTexts,
  'image-text-similarity': describePicturesAndTexts,
  'zero-shot-audio-classification': describeSoundsAndTexts,
  'image-classification': describeImageClassifier,
  'image-feature-extraction': describeImageFeatures,
  'object-detection': describeDetector,
  'keypoint-detection': describePose,
  'image-segmentation': describeSegmentation,
  'background-removal': describeMatte,
  'depth-estimation': describeDepth,
  'image-to-image': async () => ({
    problem: 'no setting describes how its output becomes an image (postprocess.imageOutput)',
  }),
} as const satisfies Partial<Record<TaskName, Describer>>

/** Models that files, tensors or their own rules tell, asked in this order before the heads. */
export const RECOGNISERS: readonly Recogniser[] = [
  async ({ config, signature, said }) => guessTabular(config, signature, said),
  ({ files, said }) => guessBytes(files, said),
  recogniseUltralytics,
  ({ files, config, signature, said }) => guessAudio(files, config, signature, said),
  ({ files, config, signature, said }) => guessGeneration(files, config, signature, said),
  ({ files, config, signature, said }) => embeddingGuess(files, config, signature, said),
]

/** The describer of a task; undefined for tasks that only recognisers know. */
export function describerOf(task: TaskName): Describer | undefined {
  const describers: Partial<Record<TaskName, Describer>> = DESCRIBERS
  return describers[task]
}
