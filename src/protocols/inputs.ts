import * as z from 'zod'

/** Token ids of the model's own tokenizer. */
export const tokenIdsSchema = z
  .array(
    z
      .number()
      .int()
      .nonnegative()
      .max(2 ** 31 - 1),
  )
  .min(1)
