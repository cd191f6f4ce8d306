import * as z from 'zod'

const document = z.union([z.string(), z.object({ text: z.string() })])
const common = { model: z.string(), query: z.string().meta({ description: 'Search query' }) }

/** `POST /rerank` as Cohere and Jina have it. */
export const rerankRequestSchema = z
  .strictObject({
    ...common,
    documents: z.array(document).min(1).meta({ description: 'Documents to rank: texts, or objects with a `text`' }),
    top_n: z.number().int().positive().optional().meta({ description: 'Maximum number, best first' }),
    return_documents: z.boolean().optional(),
  })
  .meta({ id: 'RerankRequest' })

export const rerankResponseSchema = z
  .object({
    model: z.string(),
    results: z.array(
      z.object({
        index: z.number().int().meta({ description: 'Position in the documents of the request' }),
        relevance_score: z.number(),
        document: z.object({ text: z.string() }).optional(),
      }),
    ),
    usage: z.object({ total_tokens: z.number().int() }),
  })
  .meta({ id: 'RerankResponse' })
export type RerankResponse = z.infer<typeof rerankResponseSchema>

/** The same as text-embeddings-inference has it: `texts`, answered with a bare list. */
export const teiRerankRequestSchema = z
  .strictObject({
    ...common,
    texts: z.array(z.string()).min(1),
    raw_scores: z.boolean().optional(),
    return_text: z.boolean().optional(),
    truncate: z.literal(true).optional().meta({ description: 'Ignored: long texts are always truncated' }),
    truncation_direction: z.literal(['right', 'Right']).optional(),
  })
  .meta({ id: 'TextsRerankRequest' })
