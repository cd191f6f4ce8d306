import * as z from 'zod'
import { encodingsSchema } from '../text-vectors.ts'

/** Requests and answers of Cohere's API, versions 1 and 2: https://docs.cohere.com/reference. */

export const COHERE_INPUT_TYPES = ['search_document', 'search_query', 'classification', 'clustering', 'image'] as const
export type CohereInputType = (typeof COHERE_INPUT_TYPES)[number]

const truncate = z.enum(['NONE', 'START', 'END']).optional()
export type CohereTruncate = z.infer<typeof truncate>

const embeddingTypes = encodingsSchema.optional()
const images = z.array(z.string()).optional().meta({ description: 'Not implemented' })

const contentSchema = z.union([
  z.strictObject({ type: z.literal('text'), text: z.string() }),
  z.looseObject({ type: z.literal('image_url') }),
])

export const cohereEmbedRequestSchema = z
  .strictObject({
    model: z.string(),
    input_type: z.enum(COHERE_INPUT_TYPES),
    texts: z.array(z.string()).optional(),
    images,
    inputs: z.array(z.strictObject({ content: z.array(contentSchema).min(1) })).optional(),
    max_tokens: z.number().int().positive().optional(),
    output_dimension: z.number().int().positive().optional(),
    embedding_types: embeddingTypes,
    truncate,
    priority: z.number().int().optional().meta({ description: 'Accepted and ignored' }),
  })
  .meta({ id: 'CohereEmbedRequest' })
export type CohereEmbedRequest = z.infer<typeof cohereEmbedRequestSchema>

export const cohereEmbedV1RequestSchema = z
  .strictObject({
    model: z.string().optional(),
    input_type: z.enum(COHERE_INPUT_TYPES).optional(),
    texts: z.array(z.string()).optional(),
    images,
    embedding_types: embeddingTypes,
    truncate,
  })
  .meta({ id: 'CohereEmbedV1Request' })

/** Fields of a document that it is ranked by, and that a message names. */
const MOST_FIELDS = 64

const textDocument = z.union([z.string(), z.record(z.string(), z.string())])
const ranking = {
  query: z.string(),
  documents: z.array(textDocument),
  top_n: z.number().int().positive().optional(),
  rank_fields: z.array(z.string()).min(1).max(MOST_FIELDS).optional(),
  return_documents: z.boolean().optional(),
}
export const cohereRerankRequestSchema = z
  .strictObject({
    model: z.string(),
    ...ranking,
    max_tokens_per_doc: z.number().int().positive().optional(),
    priority: z.number().int().optional().meta({ description: 'Accepted and ignored' }),
  })
  .meta({ id: 'CohereRerankRequest' })

export const cohereRerankV1RequestSchema = z
  .strictObject({
    model: z.string().optional(),
    ...ranking,
    max_chunks_per_doc: z.number().int().positive().optional().meta({
      description: 'Accepted and ignored: a document is read as one, and its end is left out where it is too long',
    }),
  })
  .meta({ id: 'CohereRerankV1Request' })

export const cohereTokenizeRequestSchema = z
  .strictObject({ model: z.string(), text: z.string() })
  .meta({ id: 'CohereTokenizeRequest' })

export const cohereDetokenizeRequestSchema = z
  .strictObject({
    model: z.string(),
    tokens: z.array(
      z
        .number()
        .int()
        .nonnegative()
        .max(2 ** 31 - 1),
    ),
  })
  .meta({ id: 'CohereDetokenizeRequest' })

/** What stands beside every answer. */
export interface CohereMeta {
  readonly api_version: { readonly version: '1' | '2' }
  readonly billed_units?: { readonly input_tokens?: number; readonly search_units?: number }
}
