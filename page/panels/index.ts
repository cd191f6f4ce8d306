import type { Panel } from './panel.ts'

/** A panel is downloaded when a model of its task is opened. */
type LazyPanel = () => Promise<Panel>

/** Panels by task. */
const PANELS: Readonly<Record<string, LazyPanel>> = {
  'audio-classification': async () => (await import('./media/audio-classification.tsx')).AudioClassificationPanel,
  'bytes-classification': async () => (await import('./media/file-type.tsx')).FileTypePanel,
  'image-classification': async () => (await import('./media/image-classification.tsx')).ImageClassificationPanel,
  'image-feature-extraction': async () => (await import('./media/image-features.tsx')).ImageFeaturesPanel,
  'image-to-image': async () => (await import('./media/image-to-image.tsx')).ImageToImagePanel,
  'keypoint-detection': async () => (await import('./media/keypoints.tsx')).KeypointsPanel,
  'image-segmentation': async () => (await import('./media/image-segmentation.tsx')).ImageSegmentationPanel,
  'background-removal': async () => (await import('./media/background-removal.tsx')).BackgroundRemovalPanel,
  'depth-estimation': async () => (await import('./media/depth-estimation.tsx')).DepthEstimationPanel,
  'object-detection': async () => (await import('./media/object-detection.tsx')).ObjectDetectionPanel,
  'tabular-classification': async () => (await import('./media/table.tsx')).TablePanel,
  'tabular-regression': async () => (await import('./media/table.tsx')).TablePanel,
  'voice-activity-detection': async () => (await import('./media/voice-activity.tsx')).VoiceActivityPanel,
  'text-classification': async () => (await import('./text/classification.tsx')).ClassificationPanel,
  'zero-shot-classification': async () => (await import('./text/zero-shot.tsx')).ZeroShotPanel,
  'token-classification': async () => (await import('./text/entities.tsx')).EntitiesPanel,
  'zero-shot-image-classification': async () => (await import('./media/zero-shot-image.tsx')).ZeroShotImagePanel,
  'image-text-similarity': async () => (await import('./media/image-text.tsx')).ImageTextPanel,
  'zero-shot-audio-classification': async () => (await import('./media/zero-shot-audio.tsx')).ZeroShotAudioPanel,
  'fill-mask': async () => (await import('./text/fill-mask.tsx')).FillMaskPanel,
  'question-answering': async () => (await import('./text/question.tsx')).QuestionPanel,
  'feature-extraction': async () => (await import('./text/embeddings.tsx')).EmbeddingsPanel,
  'sentence-similarity': async () => (await import('./text/similarity.tsx')).SimilarityPanel,
  'text-ranking': async () => (await import('./text/ranking.tsx')).RankingPanel,
  'text-generation': async () => (await import('./text/generation.tsx')).GenerationPanel,
}

/** The panel of a task. Models of a task that the page does not know, and those without one, take tensors. */
export function panelOf(task: string | undefined): LazyPanel {
  const known = task !== undefined && Object.hasOwn(PANELS, task) ? PANELS[task] : undefined
  return known ?? (async () => (await import('./tensors/tensors.tsx')).default)
}
