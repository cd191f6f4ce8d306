import * as z from 'zod'
import { VECTOR_ENCODINGS } from '../vector-encoding.ts'

const tokenIds = z
  .array(
    z
      .number()
      .int()
      .nonnegative()
      .max(2 ** 31 - 1),
  )
  .min(1)

/** `POST /v1/embeddings`, as OpenAI has it; `prompt_name` is Verge's own. */
export const embeddingsRequestSchema = z
  .strictObject({
    model: z.string(),
    input: z.union([z.string(), z.array(z.string()).min(1), tokenIds, z.array(tokenIds).min(1)]).meta({
      description: "A text, a list of texts, or token ids of the model's own tokenizer, special tokens included",
    }),
    encoding_format: z.enum(VECTOR_ENCODINGS).optional(),
    dimensions: z.number().int().positive().optional(),
    user: z.string().optional().meta({ description: 'Accepted and ignored' }),
    prompt_name: z.string().optional().meta({ description: 'Name of the prompt of the model to prepend to each text' }),
  })
  .meta({ id: 'EmbeddingsRequest' })
export type EmbeddingsRequest = z.infer<typeof embeddingsRequestSchema>

const usageSchema = z.object({ prompt_tokens: z.number().int(), total_tokens: z.number().int() })

export const embeddingsResponseSchema = z
  .object({
    object: z.literal('list'),
    data: z.array(
      z.object({
        object: z.literal('embedding'),
        index: z.number().int(),
        embedding: z
          .union([z.array(z.number()).readonly(), z.string()])
          .meta({ description: 'Numbers, or the base64 of little-endian 32-bit floats' }),
      }),
    ),
    model: z.string(),
    usage: usageSchema,
  })
  .meta({ id: 'EmbeddingsResponse' })
export type EmbeddingsResponse = z.infer<typeof embeddingsResponseSchema>
