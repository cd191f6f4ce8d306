import * as z from 'zod'

const ignored = z.unknown().optional().meta({ description: 'Accepted and ignored' })

/** `POST /api/embed`, as Ollama has it. */
export const ollamaEmbedRequestSchema = z
  .strictObject({
    model: z.string(),
    input: z
      .union([z.string(), z.array(z.string())])
      .nullish()
      .meta({ description: 'Left out: loads the model' }),
    truncate: z.boolean().nullish().meta({ description: 'Default: true. Otherwise long texts are refused' }),
    dimensions: z.number().int().positive().nullish(),
    keep_alive: ignored,
    options: ignored,
  })
  .meta({ id: 'OllamaEmbedRequest' })
export type OllamaEmbedRequest = z.infer<typeof ollamaEmbedRequestSchema>

export interface OllamaEmbedAnswer {
  readonly model: string
  readonly embeddings: readonly (readonly number[])[]
  readonly total_duration: number
  readonly load_duration: number
  readonly prompt_eval_count: number
}

/** `POST /api/embeddings`, Ollama's older address for one text. */
export const ollamaEmbeddingsRequestSchema = z
  .strictObject({ model: z.string(), prompt: z.string().nullish(), keep_alive: ignored, options: ignored })
  .meta({ id: 'OllamaEmbeddingsRequest' })
