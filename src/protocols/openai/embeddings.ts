import * as z from 'zod'
import { encodedSchema, encodingSchema, kindsSchema, sparseAnswerSchema, tokensAnswerSchema } from '../text-vectors.ts'

const tokenIds = z
  .array(
    z
      .number()
      .int()
      .nonnegative()
      .max(2 ** 31 - 1),
  )
  .min(1)

/** A prompt of a request's own, in UTF-16 units: as long as one in a manifest. */
const LONGEST_PROMPT = 2_000

/** `POST /v1/embeddings`, as OpenAI has it. The second group is Verge's own, by Hugging Face's and Jina's names where they have one. */
export const embeddingsRequestSchema = z
  .strictObject({
    model: z.string(),
    input: z.union([z.string(), z.array(z.string()).min(1), tokenIds, z.array(tokenIds).min(1)]).meta({
      description: "A text, a list of texts, or token ids of the model's own tokenizer, special tokens included",
    }),
    encoding_format: encodingSchema.optional(),
    dimensions: z.number().int().positive().optional(),
    user: z.string().optional().meta({ description: 'Accepted and ignored' }),

    prompt_name: z.string().optional().meta({ description: 'Name of the prompt of the model to prepend to each text' }),
    prompt: z.string().max(LONGEST_PROMPT).optional().meta({ description: 'Text to prepend to each text' }),
    late_chunking: z
      .boolean()
      .optional()
      .meta({ description: 'Read all texts as one, and pool each over its own tokens' }),
    kinds: kindsSchema.optional(),
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
        embedding: encodedSchema.optional().meta({ description: 'Absent only where `kinds` does not name "dense"' }),
        sparse: sparseAnswerSchema.optional(),
        tokens: tokensAnswerSchema.optional(),
      }),
    ),
    model: z.string(),
    usage: usageSchema,
  })
  .meta({ id: 'EmbeddingsResponse' })
export type EmbeddingsResponse = z.infer<typeof embeddingsResponseSchema>
