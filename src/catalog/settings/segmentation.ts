import * as z from 'zod'

const outputName = z.string().min(1).max(256)
const share = z.number().min(0).max(1)

/** What a model of masks can be asked for, by the names of transformers. */
export const SUBTASKS = ['semantic', 'instance', 'panoptic'] as const
export type Subtask = (typeof SUBTASKS)[number]

/** How a model's outputs become masks. */
export const segmentationSettingsSchema = z.object({
  /**
   * `classes`: one output [1, C, h, w] or [1, h, w, C] of scores for each pixel, or [1, h, w] of whole numbers that are
   * classes. `queries`: one output [1, Q, C + 1] of scores of Q things, the last class for nothing, and one [1, Q, h, w] of
   * their masks before the sigmoid.
   */
  head: z.enum(['classes', 'queries']),
  /** Names of the outputs, where their shapes do not tell. */
  scoresOutput: outputName.optional(),
  masksOutput: outputName.optional(),
  /** What is answered unless the request says otherwise. Default: `semantic` of classes, `panoptic` of queries. */
  subtask: z.enum(SUBTASKS).optional(),
  /** Minimum score of a thing, unless the request sets it. */
  threshold: share.default(0.5),
  /** From this probability on a pixel belongs to a thing, where it is counted how much others cover of it. */
  maskThreshold: share.default(0.5),
  /** A thing is left out of which less than this share is not covered by others. */
  overlapMaskAreaThreshold: share.default(0.8),
  /** Numbers of classes of which all things are one segment: sky, road. Only panoptic. */
  fuse: z.array(z.number().int().nonnegative().max(65_535)).max(4_096).optional(),
})

/** How a model's output becomes the transparency of a picture. */
export const matteSettingsSchema = z.object({
  /** By default the first output of one number a pixel. */
  output: outputName.optional(),
  /** `auto`: a sigmoid where a number is below 0 or above 1. */
  activation: z.enum(['auto', 'sigmoid', 'none']).default('auto'),
  /** Whether the smallest number of each picture becomes 0 and the greatest 1, as for U2-Net and IS-Net. */
  normalize: z.boolean().default(false),
})

/** Which output is the depth. */
export const depthSettingsSchema = z.object({
  /** By default `predicted_depth`, else the first output of one number a pixel. */
  output: outputName.optional(),
})

export type SegmentationSettings = z.infer<typeof segmentationSettingsSchema>
export type MatteSettings = z.infer<typeof matteSettingsSchema>
