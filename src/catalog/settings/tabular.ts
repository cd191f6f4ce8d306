import * as z from 'zod'

/** Columns that a model may take: more than any table that a person would send. */
export const MOST_COLUMNS = 4096

const columnSchema = z.object({
  name: z.string().min(1).max(256),
  /**
   * The input that takes the column; default: the input of the same name, else the only one. Columns of one input form
   * its rows in the order given here.
   */
  input: z.string().optional(),
  /**
   * Replacement for an empty cell; default: the cell is refused. A number in a column of numbers, or `nan` for a model
   * that imputes; a text in a column of texts.
   */
  missing: z.union([z.number(), z.string()]).optional(),
})

/** How a table's columns become a model's inputs, and which of its outputs answer. */
export const tabularSettingsSchema = z.object({
  /** Left out: one column for each input, with its name. */
  columns: z
    .array(columnSchema)
    .min(1)
    .max(MOST_COLUMNS)
    .refine((columns) => new Set(columns.map(({ name }) => name)).size === columns.length, 'a column is named twice')
    .optional(),
  outputs: z
    .object({
      /** The predicted class; left out: the first output of integers or texts. */
      label: z.string().optional(),
      /** A score for each class; left out: the first output of floating-point numbers. */
      scores: z.string().optional(),
      /** A regression's answer; left out: the first output of numbers. */
      value: z.string().optional(),
    })
    .optional(),
  /** Rows that work, as a request's `inputs.data` has them: for the document. */
  example: z.record(z.string(), z.array(z.union([z.number(), z.string(), z.boolean(), z.null()])).min(1)).optional(),
})

export type TabularSettings = z.infer<typeof tabularSettingsSchema>
