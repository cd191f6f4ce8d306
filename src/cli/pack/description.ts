import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { VISIBILITIES } from '../../catalog/alias.ts'
import {
  accuracySchema,
  costSchema,
  imageSettingsSchema,
  modelName,
  PLACEMENTS,
  PLACES,
  TASKS,
  type TaskName,
  tensorSpecSchema,
  textSettingsSchema,
  versionName,
} from '../../catalog/manifest.ts'
import { type AudioSettings, audioSettingsSchema } from '../../catalog/settings/audio.ts'
import { bytesSettingsSchema } from '../../catalog/settings/bytes.ts'
import { cacheSettingsSchema } from '../../catalog/settings/cache.ts'
import { detectionSettingsSchema } from '../../catalog/settings/detection.ts'
import { embeddingSettingsSchema } from '../../catalog/settings/embedding.ts'
import { generationSettingsSchema } from '../../catalog/settings/generation.ts'
import { imageFeaturesSettingsSchema, imageOutputSettingsSchema } from '../../catalog/settings/image-output.ts'
import { keypointSettingsSchema } from '../../catalog/settings/keypoints.ts'
import {
  depthSettingsSchema,
  matteSettingsSchema,
  segmentationSettingsSchema,
} from '../../catalog/settings/segmentation.ts'
import { tabularSettingsSchema } from '../../catalog/settings/tabular.ts'
import { ENGINES } from '../../config/values.ts'
import { VergeError } from '../../core/errors.ts'

/** Whether large tables of embeddings are read by page at the edge: where the model would not fit otherwise, always, never. */
export const PAGES = ['auto', 'on', 'off'] as const

/** A file beside `verge.json`: no folders, so that a description reaches nothing outside its own. */
const fileName = z.string().regex(/^[^/\\]+$/, 'the name of a file in the same folder')

/**
 * One file of a model with its measurements. A person or a tool writes them here, because a new measurement would
 * differ between machines, and a version's manifest must not.
 */
const artifactDescriptionSchema = z.strictObject({
  file: fileName,
  dtype: z.string().min(1),
  /** Left out: wherever it runs. */
  places: z.array(z.enum(PLACES)).min(1).optional(),
  /** Engines that it is packed for at the edge. Left out: those of the model. */
  engines: z.array(z.enum(ENGINES)).min(1).optional(),
  /** Of a run at the edge. */
  cost: costSchema.optional(),
  accuracy: accuracySchema.optional(),
})

/** Tasks that answer without names of classes, or with those that the model itself gives. */
const UNLABELLED: ReadonlySet<TaskName> = new Set<TaskName>([
  'voice-activity-detection',
  'keypoint-detection',
  'image-feature-extraction',
  'image-to-image',
  'background-removal',
  'depth-estimation',
  'question-answering',
  'tabular-classification',
  'tabular-regression',
  'feature-extraction',
  'sentence-similarity',
  'text-ranking',
  'text-generation',
  'fill-mask',
  'zero-shot-image-classification',
  'image-text-similarity',
  'zero-shot-audio-classification',
])

/** Tasks that take texts and need nothing said of them but their tokenizer. */
const OF_TOKENS: ReadonlySet<TaskName> = new Set<TaskName>([
  'feature-extraction',
  'sentence-similarity',
  'text-ranking',
])

/** Tasks that take texts, which are truncated to the model's length. */
const OF_TEXTS: ReadonlySet<TaskName> = new Set<TaskName>([
  'text-classification',
  'token-classification',
  'question-answering',
  'zero-shot-classification',
  'fill-mask',
  'zero-shot-image-classification',
  'image-text-similarity',
  'zero-shot-audio-classification',
])

/** Tasks that take pictures. */
const OF_PICTURES: ReadonlySet<TaskName> = new Set<TaskName>([
  'image-classification',
  'object-detection',
  'keypoint-detection',
  'image-feature-extraction',
  'image-to-image',
  'image-segmentation',
  'background-removal',
  'depth-estimation',
  'zero-shot-image-classification',
  'image-text-similarity',
])

function hasSpectrogram(audio: AudioSettings | undefined): boolean {
  return audio?.spectrogram !== undefined && audio.samples !== undefined
}

/** Only a new `verge.json` is held to these: a version that is published is read as it is. */
const imageSettings = imageSettingsSchema.superRefine(({ mode, mean, std }, context) => {
  for (const [name, values] of [
    ['mean', mean],
    ['std', std],
  ] as const) {
    if (values === undefined || values.length === 1 || values.length === (mode === 'L' ? 1 : 3)) continue
    context.addIssue({ code: 'custom', path: [name], message: 'needs one number, or one per channel' })
  }
})
const embeddingSettings = embeddingSettingsSchema.refine(
  ({ prompts = {}, defaultPrompt: name }) => name === undefined || Object.hasOwn(prompts, name),
  { path: ['defaultPrompt'], message: 'is not one of the prompts' },
)

/** `models/<name>/verge.json`: the description of a model by a person; everything else is read from its files. */
export const descriptionSchema = z
  .strictObject({
    $schema: z.string().optional(),
    name: modelName,
    version: versionName,
    /** Left out: raw tensors only. */
    task: z.enum(TASKS).optional(),
    description: z.string().optional(),
    /** Left out: private, but for a push on this machine. */
    visibility: z.enum(VISIBILITIES).optional(),
    /** Whether browsers of those who may call it may download its weights and run it. Left out: no. */
    downloadable: z.boolean().optional(),
    /** Whether the edge's weights are copied to KV, near the callers; false for models with few requests. */
    hot: z.boolean().default(true),
    licence: z.string().min(1),
    source: z.string().optional(),
    labels: z.array(z.string()).min(1).optional(),
    activation: z.enum(['softmax', 'sigmoid', 'none']).optional(),
    preprocess: z
      .strictObject({
        image: imageSettings.optional(),
        text: textSettingsSchema.optional(),
        audio: audioSettingsSchema.optional(),
        embedding: embeddingSettings.optional(),
        bytes: bytesSettingsSchema.optional(),
        tabular: tabularSettingsSchema.optional(),
        generation: generationSettingsSchema.optional(),
      })
      .optional(),
    /** How outputs become an answer, where labels and activation do not say. */
    postprocess: z
      .strictObject({
        detection: detectionSettingsSchema.optional(),
        keypoints: keypointSettingsSchema.optional(),
        imageFeatures: imageFeaturesSettingsSchema.optional(),
        imageOutput: imageOutputSettingsSchema.optional(),
        segmentation: segmentationSettingsSchema.optional(),
        matte: matteSettingsSchema.optional(),
        depth: depthSettingsSchema.optional(),
      })
      .optional(),
    tokenizer: fileName.optional(),
    /** Of a model that answers messages: Jinja, as Hugging Face's `chat_template.jinja`. */
    chatTemplate: fileName.optional(),
    /** Left out: at the edge where it fits, else at an origin. */
    placement: z.enum(PLACEMENTS).optional(),
    /** Engines that artifacts for the edge are made for, in any order. Left out: all that run the model. */
    engines: z.array(z.enum(ENGINES)).min(1).optional(),
    /**
     * Whether answers of Verge's own engine have the same bits on every processor in any case. Left out: where that costs no
     * time, which is everywhere but in convolutional models in floats.
     */
    sameBits: z.boolean().optional(),
    /**
     * Whether large tables of embeddings are read by page at the edge. Left out, or `auto`: where the model would not fit
     * into an isolate otherwise.
     */
    pages: z.enum(PAGES).optional(),
    /** Rows of such a table that stay in memory. Left out: as many as 6 MiB hold. */
    hotRows: z.number().int().positive().max(1_000_000).optional(),
    /** A file of texts like those that the model will get: rows of their tokens stay in memory first. */
    hotTexts: fileName.optional(),
    /** Whether an origin may run several requests as one batch. Left out: it finds out. */
    batching: z.boolean().optional(),
    /**
     * Maximum steps at the edge of a loop whose length depends on the inputs. Default: as many as the cost limit of a
     * request allows.
     */
    loopSteps: z.number().int().positive().max(1_000_000_000).optional(),
    /** For a model without artifacts, because there are no files to read it from. */
    inputs: z.array(tensorSpecSchema).optional(),
    outputs: z.array(tensorSpecSchema).optional(),
    /** Left out: as the Worker keeps results. False: never. */
    cache: cacheSettingsSchema.optional(),
    /** None: a server of the operator's has the weights, and `placement` is `origin`. */
    artifacts: z.array(artifactDescriptionSchema),
  })
  .superRefine((description, context) => {
    const needs = (path: string[], what: string): void => {
      context.addIssue({ code: 'custom', path, message: `needed by task "${description.task}": ${what}` })
    }
    const refuse = (path: string, message: string): void => {
      context.addIssue({ code: 'custom', path: [path], message })
    }
    const elsewhere = description.artifacts.length === 0
    if (elsewhere && description.placement !== 'origin') {
      refuse(
        'artifacts',
        'needs at least one artifact, unless placement is "origin" and a server of the operator has the weights',
      )
    }
    if (!elsewhere && (description.inputs ?? description.outputs) !== undefined) {
      refuse(description.inputs ? 'inputs' : 'outputs', 'is read from the artifacts; remove it')
    }
    if (description.hotTexts !== undefined && description.tokenizer === undefined) {
      refuse('hotTexts', 'needs a tokenizer, which makes tokens of the texts')
    }
    if (description.chatTemplate !== undefined && description.task !== 'text-generation') {
      refuse('chatTemplate', 'applies to task "text-generation" only')
    }
    if (description.task === 'text-generation' && !elsewhere) {
      if (!description.preprocess?.generation) needs(['preprocess', 'generation'], 'its context length and stop tokens')
      if (!description.tokenizer) needs(['tokenizer'], 'the name of its tokenizer.json')
    }
    if (description.task !== undefined && !UNLABELLED.has(description.task) && !description.labels) {
      needs(['labels'], 'the names of its classes, in order')
    }
    if (description.task === 'bytes-classification' && !description.preprocess?.bytes) {
      needs(['preprocess', 'bytes'], 'how bytes become the input')
    }
    if (description.task !== undefined && OF_PICTURES.has(description.task) && !description.preprocess?.image) {
      needs(['preprocess', 'image'], 'the image preprocessing')
    }
    if (description.task === 'audio-classification' && !description.preprocess?.audio) {
      needs(['preprocess', 'audio'], 'the audio preprocessing')
    }
    if (description.task === 'zero-shot-audio-classification' && !hasSpectrogram(description.preprocess?.audio)) {
      needs(['preprocess', 'audio'], 'the samples of a sound and their spectrogram')
    }
    if (description.task === 'voice-activity-detection' && !description.preprocess?.audio?.window) {
      needs(['preprocess', 'audio', 'window'], 'the audio windows')
    }
    if (description.task === 'object-detection' && !description.postprocess?.detection) {
      needs(['postprocess', 'detection'], 'how outputs become boxes')
    }
    if (description.task === 'keypoint-detection' && !description.postprocess?.keypoints) {
      needs(['postprocess', 'keypoints'], 'how outputs become points')
    }
    if (description.task === 'image-to-image' && !description.postprocess?.imageOutput) {
      needs(['postprocess', 'imageOutput'], 'how the output becomes an image')
    }
    if (description.task === 'image-segmentation' && !description.postprocess?.segmentation) {
      needs(['postprocess', 'segmentation'], 'how outputs become masks')
    }
    if (description.task !== undefined && OF_TOKENS.has(description.task) && !description.tokenizer) {
      needs(['tokenizer'], 'the name of its tokenizer.json')
    }
    if (
      description.task === 'zero-shot-classification' &&
      !description.labels?.some((label) => label.toLowerCase().startsWith('entail'))
    ) {
      needs(['labels'], 'a label that begins with "entail"')
    }
    if (description.task === 'fill-mask' && !description.preprocess?.text?.maskToken) {
      needs(['preprocess', 'text', 'maskToken'], 'the token in place of a word that the model finds')
    }
    if (description.task !== undefined && OF_TEXTS.has(description.task)) {
      if (!description.preprocess?.text) needs(['preprocess', 'text'], 'the maximum number of tokens')
      if (!description.tokenizer) needs(['tokenizer'], 'the name of its tokenizer.json')
    }
  })

export type Description = z.infer<typeof descriptionSchema>
export type ArtifactDescription = Description['artifacts'][number]

/** The same model, in these precisions packed without Verge's own engine. */
export function withoutOwnEngine(description: Description, dtypes: readonly string[]): Description {
  const artifacts = description.artifacts.map((artifact) =>
    dtypes.includes(artifact.dtype) ? { ...artifact, engines: ['onnxruntime' as const] } : artifact,
  )
  return { ...description, artifacts }
}

/** The same model for these engines, whatever its files say. */
export function withEngines(description: Description, engines: Description['engines']): Description {
  return { ...description, engines, artifacts: description.artifacts.map(({ engines: _, ...artifact }) => artifact) }
}

/** Reads and checks a model folder's `verge.json`. @throws manifest_invalid, naming each field that is wrong */
export async function readDescription(folder: string): Promise<Description> {
  const file = join(folder, 'verge.json')
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new VergeError('manifest_invalid', `${file} cannot be read. A model folder needs this file.`, {
      cause: error,
    })
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new VergeError('manifest_invalid', `${file} is not JSON: ${(error as Error).message}`, { cause: error })
  }
  const result = descriptionSchema.safeParse(value)
  if (!result.success) {
    const problems = result.error.issues.map((issue) => `  ${issue.path.join('.') || '(all)'}: ${issue.message}`)
    throw new VergeError('manifest_invalid', `${file} is invalid:\n${problems.join('\n')}`)
  }
  return result.data
}
