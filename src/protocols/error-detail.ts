import * as z from 'zod'

/** A fact about a failure, beside its code and message, in every protocol's shape of errors. */
export const errorDetail = z.union([
  z.string(),
  z.number(),
  z.boolean(),
  z.null(),
  z.array(z.union([z.string(), z.number()])),
])
