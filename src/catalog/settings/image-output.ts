import * as z from 'zod'

const outputName = z.string().min(1).max(256)

/** How a model's output becomes a picture. */
export const imageOutputSettingsSchema = z.object({
  /** By default the first output. */
  output: outputName.optional(),
  /** `luma`: the output is brightness, and takes its colours from the picture that was sent. */
  colour: z.enum(['RGB', 'L', 'luma']),
  layout: z.enum(['NCHW', 'NHWC']).default('NCHW'),
  /** A sample of 0 to 255 is `value * rescale + offset`. */
  rescale: z.number().default(255),
  offset: z.number().default(0),
})

/** Which vector represents an image. */
export const imageFeaturesSettingsSchema = z.object({
  /** By default the first output with one vector for a picture, else the first with several. */
  output: outputName.optional(),
  /** What makes one vector of several: the first, their mean, or nothing, so that all are answered. */
  pooling: z.enum(['cls', 'mean', 'none']).default('mean'),
  /** To length 1, so that a product is the cosine. */
  normalize: z.boolean().default(false),
})

export type ImageOutputSettings = z.infer<typeof imageOutputSettingsSchema>
export type ImageFeaturesSettings = z.infer<typeof imageFeaturesSettingsSchema>
