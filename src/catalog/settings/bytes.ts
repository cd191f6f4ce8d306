import * as z from 'zod'

const count = z.number().int().nonnegative().max(65_536)
const share = z.number().min(0).max(1)

/** How a file becomes a row of integers, and when the best label is rejected. */
export const bytesSettingsSchema = z
  .object({
    /** Bytes from the beginning, the middle and the end, in this order; missing bytes are `padding`. */
    begin: count,
    middle: count.default(0),
    end: count,
    /** The beginning and the end are looked for in so many first and last bytes. */
    blockSize: z
      .number()
      .int()
      .positive()
      .max(1024 * 1024),
    padding: z.number().int().min(-1).max(65_535),
    /** White space before the beginning and after the end is left out. */
    strip: z.boolean().default(false),
    /** Fewer bytes, or fewer from the first that is not white space, are not shown to the model; `fallback` answers. */
    minBytes: z.number().int().positive().optional(),
    /** Below its score the best label is not trusted, and `fallback` answers: for labels in `thresholds` theirs. */
    threshold: share.optional(),
    thresholds: z.record(z.string(), share).optional(),
    /** Labels that are answered by another name. */
    overwrite: z.record(z.string(), z.string()).optional(),
    fallback: z
      .object({
        text: z.string().min(1),
        binary: z.string().min(1),
        /** Labels that are of text; left out: bytes that are UTF-8 are text. */
        textLabels: z.array(z.string()).optional(),
      })
      .optional(),
  })
  .refine(({ begin, middle, end }) => begin + middle + end > 0, 'begin, middle and end take no bytes')
  .refine(({ begin, end, blockSize }) => begin <= blockSize && end <= blockSize, {
    path: ['blockSize'],
    message: 'must be at least begin and end together',
  })
  .refine(
    ({ minBytes, threshold, thresholds, fallback }) =>
      fallback !== undefined || (minBytes === undefined && threshold === undefined && thresholds === undefined),
    { path: ['fallback'], message: 'is required with minBytes, threshold or thresholds' },
  )

export type BytesSettings = z.infer<typeof bytesSettingsSchema>
