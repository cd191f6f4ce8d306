import * as z from 'zod'
import { VECTOR_ENCODINGS } from './vector-encoding.ts'

/**
 * What a text can become: one vector (`dense`), a weight for some tokens of the vocabulary (`sparse`), or a vector for
 * each of its tokens (`tokens`).
 */
export const VECTOR_KINDS = ['dense', 'sparse', 'tokens'] as const
export type VectorKind = (typeof VECTOR_KINDS)[number]

/** The kinds of vectors that a request asks for at once. */
export const kindsSchema = z
  .array(z.enum(VECTOR_KINDS))
  .min(1)
  .max(VECTOR_KINDS.length)
  .refine((kinds) => new Set(kinds).size === kinds.length, 'may have each kind once')
  .meta({ description: 'Kinds of vectors to answer for each text, all from one run' })

export const encodingSchema = z
  .enum(VECTOR_ENCODINGS)
  .meta({ description: 'How vectors are written; the weights of sparse vectors are always numbers' })

/** Several encodings of the same vectors: each is written once. */
export const encodingsSchema = z
  .array(z.enum(VECTOR_ENCODINGS))
  .min(1)
  .max(VECTOR_ENCODINGS.length)
  .refine((encodings) => new Set(encodings).size === encodings.length, 'may have each encoding once')

export const encodedSchema = z
  .union([z.array(z.number()).readonly(), z.string()])
  .meta({ description: 'Numbers, or the base64 of little-endian 32-bit floats' })

export const sparseAnswerSchema = z
  .object({ indices: z.array(z.number().int()), values: z.array(z.number()) })
  .meta({ id: 'SparseVector', description: 'Token ids, ascending, and the weight of each' })
export type SparseAnswer = z.infer<typeof sparseAnswerSchema>

export const tokensAnswerSchema = z
  .object({ ids: z.array(z.number().int()).readonly(), vectors: z.array(encodedSchema) })
  .meta({ id: 'TokenVectors', description: 'Token ids, and the vector of each' })

/** What one text became. */
export const textVectorsSchema = z
  .object({
    dense: encodedSchema.optional(),
    sparse: sparseAnswerSchema.optional(),
    tokens: tokensAnswerSchema.optional(),
  })
  .meta({ id: 'TextVectors' })
export type TextVectorsAnswer = z.infer<typeof textVectorsSchema>
