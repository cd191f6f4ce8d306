import * as z from 'zod'
import { tokenIdsSchema } from '../inputs.ts'

/** Requests and answers of vLLM's pooling models: https://docs.vllm.ai/en/latest/models/pooling_models.html. */

/** What every request may have. What has no meaning here may stand with its default. */
const common = {
  model: z.string().nullish(),
  user: z.string().nullish(),
  truncate_prompt_tokens: z
    .union([z.literal(-1), z.number().int().positive()])
    .nullish()
    .meta({
      description: 'Keeps so many tokens of a text, -1: as many as the model takes. Left out: a longer text is refused',
    }),
  truncation_side: z.enum(['left', 'right']).nullish(),
  padding: z.literal('do_not_pad').nullish(),
  request_id: z.string().nullish(),
  priority: z.literal(0).nullish(),
  cache_salt: z.string().nullish(),
}
const activation = {
  use_activation: z.boolean().nullish(),
  activation: z.boolean().nullish().meta({ description: 'An older name of `use_activation`' }),
  softmax: z.boolean().nullish().meta({ description: 'An older name of `use_activation`' }),
}
const encoding = {
  encoding_format: z.enum(['float', 'base64']).nullish(),
  embed_dtype: z.literal('float32').nullish(),
  endianness: z.enum(['native', 'little']).nullish(),
}
const input = z.union([z.string(), z.array(z.string()), tokenIdsSchema, z.array(tokenIdsSchema)])
const completion = { input, add_special_tokens: z.boolean().nullish() }
const dimensions = z.number().int().positive().nullish()

export const VLLM_POOLING_TASKS = ['embed', 'classify', 'score', 'token_embed', 'token_classify'] as const
export type VllmPoolingTask = (typeof VLLM_POOLING_TASKS)[number]

export const vllmPoolingRequestSchema = z
  .strictObject({
    ...common,
    ...completion,
    ...encoding,
    ...activation,
    dimensions,
    normalize: z.boolean().nullish(),
    task: z.enum(VLLM_POOLING_TASKS).nullish(),
  })
  .meta({ id: 'VllmPoolingRequest' })
export type VllmPoolingRequest = z.infer<typeof vllmPoolingRequestSchema>

export const vllmEmbeddingsRequestSchema = z
  .strictObject({
    ...common,
    ...completion,
    ...encoding,
    dimensions,
    normalize: z.boolean().nullish(),
    use_activation: z.boolean().nullish(),
  })
  .meta({ id: 'VllmEmbeddingsRequest' })

export const vllmClassifyRequestSchema = z
  .strictObject({ ...common, ...completion, ...activation })
  .meta({ id: 'VllmClassifyRequest' })

const texts = z.union([z.string(), z.array(z.string())])
export const vllmScoreRequestSchema = z
  .strictObject({
    ...common,
    ...activation,
    text_1: texts.optional(),
    text_2: texts.optional(),
    queries: texts.optional(),
    documents: texts.optional(),
    items: texts.optional(),
    data_1: texts.optional(),
    data_2: texts.optional(),
  })
  .meta({ id: 'VllmScoreRequest' })
export type VllmScoreRequest = z.infer<typeof vllmScoreRequestSchema>

export const vllmRerankRequestSchema = z
  .strictObject({
    ...common,
    ...activation,
    query: z.string(),
    documents: texts,
    top_n: z.number().int().nonnegative().nullish(),
    max_tokens_per_doc: z.number().int().nonnegative().nullish(),
    return_documents: z.boolean().nullish().meta({ description: 'Accepted and ignored: texts are always answered' }),
  })
  .meta({ id: 'VllmRerankRequest' })

export const vllmTokenizeRequestSchema = z
  .strictObject({
    model: z.string().nullish(),
    prompt: z.string(),
    add_special_tokens: z.boolean().nullish(),
    return_token_strs: z.boolean().nullish(),
  })
  .meta({ id: 'VllmTokenizeRequest' })

export const vllmDetokenizeRequestSchema = z
  .strictObject({ model: z.string().nullish(), tokens: tokenIdsSchema })
  .meta({ id: 'VllmDetokenizeRequest' })

export interface VllmUsage {
  readonly prompt_tokens: number
  readonly total_tokens: number
  readonly completion_tokens: 0
  readonly prompt_tokens_details: null
}

export function vllmUsage(tokens: number): VllmUsage {
  return { prompt_tokens: tokens, total_tokens: tokens, completion_tokens: 0, prompt_tokens_details: null }
}
