import * as z from 'zod'
import type { Limits } from '../core/limits.ts'

/** A string that ends a text. Half a surrogate pair would cut the character in which it is found. */
export const stopString = ({ stopStringLength }: Pick<Limits, 'stopStringLength'>) =>
  z
    .string()
    .min(1)
    .max(stopStringLength)
    .refine((text) => text.isWellFormed(), 'contains half of a surrogate pair')

/** Any whole number of 64 bits, as OpenAI and vLLM take it: clients draw them, and JSON rounds the larger ones. */
export const seed = z
  .number()
  .min(-(2 ** 63))
  .max(2 ** 64)
  .refine(Number.isInteger, 'must be an integer')
  .nullish()
  .meta({ description: 'A whole number. The same seed gives the same answer' })
