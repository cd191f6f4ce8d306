import * as z from 'zod'
import { DATATYPES } from '../core/tensors.ts'
import type { AsideArtifact } from './aside.ts'
import { audioSettingsSchema } from './settings/audio.ts'
import { bytesSettingsSchema } from './settings/bytes.ts'
import { cacheSettingsSchema } from './settings/cache.ts'
import { detectionSettingsSchema } from './settings/detection.ts'
import { embeddingSettingsSchema } from './settings/embedding.ts'
import { generationSettingsSchema } from './settings/generation.ts'
import { imageFeaturesSettingsSchema, imageOutputSettingsSchema } from './settings/image-output.ts'
import { keypointSettingsSchema } from './settings/keypoints.ts'
import { RESAMPLING } from './settings/resample.ts'
import { depthSettingsSchema, matteSettingsSchema, segmentationSettingsSchema } from './settings/segmentation.ts'
import { tabularSettingsSchema } from './settings/tabular.ts'

/**
 * The manifest of one version of a model: immutable, addressed by the SHA-256 of its JSON bytes.
 *
 * Evolution is additive: a reader ignores unknown fields, a writer never changes the meaning of a field, and `schema`
 * rises only when an old reader would answer wrongly.
 */
export const MANIFEST_SCHEMA = 1

/** Model names appear in URLs and storage keys, so they are kept to what needs no escaping in either. */
export const MODEL_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/
export const VERSION_NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,31}$/

export const modelName = z.string().regex(MODEL_NAME, 'lower-case letters, digits, ".", "_" and "-", at most 64')
export const versionName = z.string().regex(VERSION_NAME, 'letters, digits, ".", "_" and "-", at most 32')
export const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, '64 lower-case hexadecimal digits')

const byteCount = z.number().int().nonnegative()

const chunkSchema = z.object({ sha256: sha256Hex, bytes: byteCount })

/** Bytes stored as content-addressed chunks, in order. `sha256` is of the whole. */
export const blobSchema = z.object({ sha256: sha256Hex, bytes: byteCount, chunks: z.array(chunkSchema) })

/**
 * Rows of embedding tables that stay in the stores, in a file of pages beside the artifact. The artifact has the digest of
 * each page.
 */
const pagesSchema = blobSchema.extend({
  /** Pages of each table, one table after the other; the last page of a table may be shorter than `pageBytes`. */
  tables: z.array(
    z.object({ offset: byteCount, pageBytes: z.number().int().positive(), pages: z.number().int().positive() }),
  ),
})

export const tensorSpecSchema = z.object({
  name: z.string(),
  datatype: z.enum(DATATYPES).nullable(),
  shape: z.array(z.union([z.number().int(), z.string()])),
})

/**
 * Cost of a run in units that do not depend on the machine: one unit is the time that the same engine needs for a
 * million multiply-adds of a 32-bit matrix product. `base` applies to every run, `perElement` to each element of its
 * inputs.
 */
export const costSchema = z.object({ base: z.number().nonnegative(), perElement: z.number().nonnegative() })

/** How well an artifact does its task, beside the model that it was made from: `top-1` as shares of 1. */
export const accuracySchema = z.object({
  metric: z.string().min(1).max(64),
  value: z.number(),
  baseline: z.number(),
  samples: z.number().int().positive(),
})

/** What an artifact answers to a fixed input, for whoever wants to see that another machine computes the same bits. */
export const answerSchema = z.object({
  /**
   * Their elements follow from their place i in row-major order. Floats: (i * 7919 mod 1000) / 1000. Whole numbers:
   * (i * 7919 + 1) mod `below`, or 1 where `below` is left out. BOOL: 1.
   */
  inputs: z.array(
    z.object({
      name: z.string(),
      datatype: z.enum(DATATYPES).exclude(['BYTES']),
      shape: z.array(byteCount),
      below: z.number().int().positive().optional(),
    }),
  ),
  /** Of the bytes of all outputs, in the order of the model's metadata, little-endian. */
  sha256: sha256Hex,
})

/** `verge` is what src/compile writes for Verge's own engine. */
export const FORMATS = ['onnx', 'ort', 'verge'] as const
export const PLACES = ['edge', 'origin', 'browser'] as const
export const PLACEMENTS = ['auto', 'edge', 'origin'] as const

export const artifactSchema = blobSchema.extend({
  /** Unique within the version, for people: `edge-fp32`. */
  id: z.string().min(1).max(64),
  format: z.enum(FORMATS),
  /** Precision, as transformers.js names it: fp32, fp16, q8, int8, uint8, q4, q4f16. */
  dtype: z.string(),
  /** Places that this artifact is meant for, best first. */
  places: z.array(z.enum(PLACES)),
  /** What it was made by, and runs on: `onnxruntime 1.30.0`, `verge 1.2.0`. */
  runtime: z.string().optional(),
  /** Only of format `verge`. An engine that knows no pages refuses the artifact by its `runtime`. */
  pages: pagesSchema.optional(),
  /** Measured wasm heap that a loaded session holds. */
  memoryBytes: byteCount.optional(),
  /** Measured bytes of wasm heap that a run takes beside the session: at the edge, for any run and for each input element. */
  activations: z.object({ base: z.number().nonnegative(), perElement: z.number().nonnegative() }).optional(),
  /**
   * Loops whose length depends on the inputs: the input with the number of steps, if there is one; the maximum steps,
   * after which a run fails; and the estimated cost of a step, constant and per element of the inputs.
   */
  loops: z
    .array(
      z.object({
        input: z.string().optional(),
        steps: z.number().int().positive(),
        cost: z.number().nonnegative(),
        perElement: z.number().nonnegative(),
      }),
    )
    .optional(),
  /** Measured cost of a run at the edge. */
  cost: costSchema.optional(),
  /**
   * Only of format `verge`. `processor`: float products round as the processor does, and the last bits of an answer are not
   * the same everywhere. Left out: they are. It is for people, and a Worker takes words that a newer Verge writes.
   */
  rounding: z.string().min(1).max(64).optional(),
  /** Only of format `verge`, where the answers have the same bits everywhere. */
  answer: answerSchema.optional(),
  accuracy: accuracySchema.optional(),
})

/** Of a model's input: more of them do not fit into an isolate. */
const MOST_PIXELS = 4 * 1024 * 1024

/** Size of the image before the crop. */
const side = z.number().int().positive().max(16_384)

/** How a picture becomes a tensor. Sizes are [height, width] in pixels. */
export const imageSettingsSchema = z
  .object({
    /** Channels in the order that the tensor has them; `L` is grey. */
    mode: z.enum(['RGB', 'BGR', 'L']),
    size: z.tuple([z.number().int().positive(), z.number().int().positive()]),
    /**
     * `stretch` resizes to `size`; `crop` resizes the shorter side to `resize`, or stretches to `resize` where that is
     * [height, width], and cuts the centre; `mnist` finds a
     * drawn sign (dark on light or light on dark), scales it into a square of `box` pixels and centres it by its mass;
     * `letterbox` resizes to fit into `size` and fills the two edges with `pad`; `shortest` resizes the shorter side to
     * `resize`, less where the longer side would be above the larger of `size`, and the tensor is as large as that; `proportional` keeps the
     * proportions, so that one side is that of `size`, and rounds both to a `multiple`.
     */
    fit: z.enum(['stretch', 'crop', 'mnist', 'letterbox', 'shortest', 'proportional']),
    resize: z.union([side, z.tuple([side, side])]).optional(),
    /** Of `shortest`: sides are cut to a multiple of this; of `proportional` they are rounded to one. */
    multiple: z.number().int().positive().max(1024).optional(),
    /** Of `letterbox`: where the picture lies; by default in the centre, else at the top left. */
    anchor: z.enum(['centre', 'start']).optional(),
    box: z.number().int().positive().optional(),
    /** Grey level, by default black. */
    pad: z.number().int().min(0).max(255).optional(),
    /** Pillow's filter of the resizing, by default `bilinear`. */
    resample: z.enum(RESAMPLING).optional(),
    /** Multiplied with each 0-255 sample before mean and std. */
    rescale: z.number(),
    /** One for all channels, or one for each in the order of `mode`. */
    mean: z.array(z.number()).optional(),
    std: z.array(z.number().positive()).optional(),
    layout: z.enum(['NCHW', 'NHWC']).default('NCHW'),
  })
  .refine(({ size: [height, width] }) => height * width <= MOST_PIXELS, {
    path: ['size'],
    message: `may be at most ${MOST_PIXELS} pixels`,
  })
  .refine(({ size, box }) => box === undefined || box <= Math.max(...size), {
    path: ['box'],
    message: 'may not be above size',
  })
  .refine(({ fit, resize }) => fit !== 'shortest' || typeof resize === 'number', {
    path: ['resize'],
    message: 'must be the length of the shorter side, with fit "shortest"',
  })

export const textSettingsSchema = z.object({
  /** Longer texts are cut to this many tokens. */
  maxTokens: z.number().int().positive(),
  /** The end of a text that is cut. */
  truncationSide: z.enum(['right', 'left']).optional(),
  /** The token in place of a word that the model finds (`fill-mask`): `[MASK]`, `<mask>`. */
  maskToken: z.string().min(1).max(256).optional(),
  /** Every text is padded to so many tokens, for models that were trained so and have no mask (SigLIP). */
  padding: z.object({ length: z.number().int().positive().max(4_096), token: z.string().min(1).max(256) }).optional(),
  /** Makes texts lower case before they are tokenized, where the tokenizer does not. */
  lowercase: z.boolean().optional(),
})

export const TASKS = [
  'image-classification',
  'object-detection',
  'keypoint-detection',
  'image-feature-extraction',
  'image-to-image',
  'image-segmentation',
  'background-removal',
  'depth-estimation',
  'text-classification',
  'token-classification',
  'question-answering',
  'zero-shot-classification',
  'fill-mask',
  'zero-shot-image-classification',
  'image-text-similarity',
  'zero-shot-audio-classification',
  'audio-classification',
  'voice-activity-detection',
  'feature-extraction',
  'sentence-similarity',
  'text-ranking',
  'bytes-classification',
  'tabular-classification',
  'tabular-regression',
  'text-generation',
] as const
export type TaskName = (typeof TASKS)[number]

const fields = z.object({
  schema: z.number().int().positive(),
  model: modelName,
  version: versionName,
  /** Absent: raw tensors only. */
  task: z.string().optional(),
  licence: z.string().optional(),
  source: z.string().optional(),
  description: z.string().optional(),
  inputs: z.array(tensorSpecSchema),
  outputs: z.array(tensorSpecSchema),
  labels: z.array(z.string()).optional(),
  /** What turns the model's output into scores. */
  activation: z.enum(['softmax', 'sigmoid', 'none']).optional(),
  image: imageSettingsSchema.optional(),
  detection: detectionSettingsSchema.optional(),
  keypoints: keypointSettingsSchema.optional(),
  imageFeatures: imageFeaturesSettingsSchema.optional(),
  imageOutput: imageOutputSettingsSchema.optional(),
  segmentation: segmentationSettingsSchema.optional(),
  matte: matteSettingsSchema.optional(),
  depth: depthSettingsSchema.optional(),
  text: textSettingsSchema.optional(),
  audio: audioSettingsSchema.optional(),
  embedding: embeddingSettingsSchema.optional(),
  bytes: bytesSettingsSchema.optional(),
  tabular: tabularSettingsSchema.optional(),
  generation: generationSettingsSchema.optional(),
  cache: cacheSettingsSchema.optional(),
  /**
   * Where it runs, if left out `auto`: at the edge where it fits, else at an origin. `edge`: there alone. `origin`: there,
   * and where none can be had, from an artifact for the edge, which is then a lesser answer and marked as degraded.
   */
  placement: z.enum(PLACEMENTS).optional(),
  /** Whether an origin may run several requests as one batch; if left out it finds out. */
  batching: z.boolean().optional(),
  /** Whether browsers may download the artifacts for the place `browser`, and the files. Left out: no. */
  downloadable: z.boolean().optional(),
  /** Further files that the model needs, such as `tokenizer.json`. */
  files: z.record(z.string(), blobSchema).optional(),
  /** None: the weights lie with a server of the operator's, and `placement` is `origin`. */
  artifacts: z.array(artifactSchema),
})

/** As it is written: complete, and of this Verge alone. */
export const manifestSchema = fields.refine(
  ({ artifacts, placement }) => artifacts.length > 0 || placement === 'origin',
  { path: ['artifacts'], message: 'may be missing only where "placement" is "origin"' },
)

/** The schema for reading, after the parts of a newer Verge are removed (`aside.ts`), which may leave no artifact. */
export const understoodSchema = fields

export type Blob = z.infer<typeof blobSchema>
export type Artifact = z.infer<typeof artifactSchema>
export type FixedAnswer = z.infer<typeof answerSchema>
export type Accuracy = z.infer<typeof accuracySchema>
export type Place = (typeof PLACES)[number]
export type PlacementPreference = (typeof PLACEMENTS)[number]
export type ImageSettings = z.infer<typeof imageSettingsSchema>
export type Manifest = z.infer<typeof manifestSchema> & {
  /** Artifacts that are not understood; only a manifest that was read has them. */
  readonly aside?: readonly AsideArtifact[]
}
