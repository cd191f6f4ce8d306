import type { Limits } from '../core/limits.ts'
import { audioClassification } from './audio-classification.ts'
import { backgroundRemoval } from './background-removal.ts'
import { bytesClassification } from './bytes-classification.ts'
import { depthEstimation } from './depth-estimation.ts'
import { featureExtraction } from './feature-extraction.ts'
import { fillMask } from './fill-mask.ts'
import { imageClassification } from './image-classification.ts'
import { imageFeatureExtraction } from './image-feature-extraction.ts'
import { imageSegmentation } from './image-segmentation.ts'
import { imageTextSimilarity } from './image-text-similarity.ts'
import { imageToImage } from './image-to-image.ts'
import { keypointDetection } from './keypoint-detection.ts'
import { objectDetection } from './object-detection.ts'
import { questionAnswering } from './question-answering.ts'
import { sentenceSimilarity } from './sentence-similarity.ts'
import { tabularClassification } from './tabular-classification.ts'
import { tabularRegression } from './tabular-regression.ts'
import { bindTask, type Tasks, withFiniteAnswers } from './task.ts'
import { textClassification } from './text-classification.ts'
import { textGeneration } from './text-generation.ts'
import { textRanking } from './text-ranking.ts'
import { tokenClassification } from './token-classification.ts'
import { voiceActivityDetection } from './voice-activity-detection.ts'
import { zeroShotAudioClassification } from './zero-shot-audio-classification.ts'
import { zeroShotClassification } from './zero-shot-classification.ts'
import { zeroShotImageClassification } from './zero-shot-image-classification.ts'

/** Every task, by name; a task that is named in the manifest's schema and missing here does not compile. */
export function createTasks(limits: Limits): Tasks {
  const tasks: Tasks = {
    'image-classification': bindTask(imageClassification(limits)),
    'object-detection': objectDetection(limits),
    'keypoint-detection': keypointDetection(limits),
    'image-feature-extraction': bindTask(imageFeatureExtraction(limits)),
    'image-to-image': imageToImage(limits),
    'image-segmentation': imageSegmentation(limits),
    'background-removal': backgroundRemoval(limits),
    'depth-estimation': depthEstimation(limits),
    'bytes-classification': bytesClassification(limits),
    'tabular-classification': bindTask(tabularClassification(limits)),
    'tabular-regression': bindTask(tabularRegression(limits)),
    'audio-classification': bindTask(audioClassification(limits)),
    'voice-activity-detection': voiceActivityDetection(limits),
    'text-classification': textClassification(limits),
    'token-classification': tokenClassification(limits),
    'question-answering': questionAnswering(limits),
    'zero-shot-classification': zeroShotClassification(limits),
    'fill-mask': fillMask(limits),
    'zero-shot-image-classification': zeroShotImageClassification(limits),
    'zero-shot-audio-classification': zeroShotAudioClassification(limits),
    'image-text-similarity': imageTextSimilarity(limits),
    'feature-extraction': featureExtraction(limits),
    'sentence-similarity': sentenceSimilarity(limits),
    'text-ranking': textRanking(limits),
    'text-generation': textGeneration(limits),
  }
  return Object.fromEntries(Object.entries(tasks).map(([name, task]) => [name, withFiniteAnswers(task)])) as Tasks
}
