import * as z from 'zod'
import { tokenIdsSchema } from '../inputs.ts'

/**
 * Requests and answers of text-embeddings-inference, by its OpenAPI document:
 * https://huggingface.github.io/text-embeddings-inference/openapi.json. Its optional fields may be null.
 */

const cutting = {
  truncate: z.boolean().nullish().meta({ description: 'Truncate texts that are too long; false by default' }),
  truncation_direction: z.literal(['Left', 'Right', 'left', 'right']).nullish(),
}
const prompted = {
  ...cutting,
  prompt_name: z.string().nullish().meta({ description: 'Name of the prompt of the model to prepend to each text' }),
}

const inputSchema = z.union([z.string(), tokenIdsSchema])
const inputsSchema = z.union([inputSchema, z.array(inputSchema)])

export const teiEmbedRequestSchema = z
  .strictObject({
    inputs: inputsSchema,
    ...prompted,
    normalize: z.boolean().nullish(),
    dimensions: z.number().int().positive().nullish(),
  })
  .meta({ id: 'TeiEmbedRequest' })

/** Of `/embed_sparse` and `/embed_all`. */
export const teiEmbedKindRequestSchema = z
  .strictObject({ inputs: inputsSchema, ...prompted })
  .meta({ id: 'TeiEmbedKindRequest' })

export const teiOpenAiRequestSchema = z
  .strictObject({
    input: inputsSchema,
    model: z.string().nullish(),
    user: z.string().nullish(),
    encoding_format: z.enum(['float', 'base64']).nullish(),
    dimensions: z.number().int().positive().nullish(),
  })
  .meta({ id: 'TeiOpenAiRequest' })

const oneOrPair = z.union([z.tuple([z.string()]), z.tuple([z.string(), z.string()])])

export const teiPredictRequestSchema = z
  .strictObject({
    inputs: z
      .union([z.string(), oneOrPair, z.array(oneOrPair)])
      .meta({ description: 'A text, a pair of texts, or a list of lists of one or two texts' }),
    ...cutting,
    raw_scores: z.boolean().nullish(),
  })
  .meta({ id: 'TeiPredictRequest' })
export type TeiPredictRequest = z.infer<typeof teiPredictRequestSchema>

export const teiRankRequestSchema = z
  .strictObject({
    query: z.string(),
    texts: z.array(z.string()),
    ...cutting,
    raw_scores: z.boolean().nullish(),
    return_text: z.boolean().nullish(),
  })
  .meta({ id: 'TeiRankRequest' })

export const teiSimilarityRequestSchema = z
  .strictObject({
    inputs: z.strictObject({ source_sentence: z.string(), sentences: z.array(z.string()) }),
    parameters: z.strictObject(prompted).nullish(),
  })
  .meta({ id: 'TeiSimilarityRequest' })

export const teiTokenizeRequestSchema = z
  .strictObject({
    inputs: z.union([z.string(), z.array(z.string())]),
    add_special_tokens: z.boolean().nullish(),
    prompt_name: z.string().nullish(),
  })
  .meta({ id: 'TeiTokenizeRequest' })

const ids = z.array(
  z
    .number()
    .int()
    .nonnegative()
    .max(2 ** 31 - 1),
)
export const teiDecodeRequestSchema = z
  .strictObject({
    ids: z.union([ids, z.array(ids)]),
    skip_special_tokens: z.boolean().nullish(),
  })
  .meta({ id: 'TeiDecodeRequest' })

export interface TeiToken {
  readonly id: number
  readonly text: string
  readonly special: boolean
  /** Bytes of the text in UTF-8; null for a special token. */
  readonly start: number | null
  readonly stop: number | null
}

interface TeiLabels {
  readonly id2label: Readonly<Record<string, string>>
  readonly label2id: Readonly<Record<string, number>>
}

export interface TeiInfo {
  readonly model_id: string
  readonly model_sha: null
  readonly model_dtype: string
  readonly served_model_name: string
  readonly model_type:
    | { readonly embedding: { readonly pooling: string } }
    | { readonly classifier: TeiLabels }
    | { readonly reranker: TeiLabels }
  readonly max_concurrent_requests: number
  readonly max_input_length: number
  readonly max_batch_tokens: number
  readonly max_batch_requests: null
  readonly max_client_batch_size: number
  readonly auto_truncate: false
  readonly tokenization_workers: number
  readonly version: string
  readonly sha: null
  readonly docker_label: null
}
