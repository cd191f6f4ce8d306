import * as z from 'zod'
import type { Limits } from '../../core/limits.ts'
import { seed } from '../generation-fields.ts'

/** What Workers AI's models take, by task: the body of `ai/run/{model}`, and the second argument of `env.AI.run`. */

const texts = z.union([z.string(), z.array(z.string()).min(1)], { error: 'a text or a list of texts is needed' })
const contexts = z.array(z.strictObject({ text: z.string() })).min(1)
const truncated = z.boolean().optional().meta({ description: 'Truncate long texts (the default) or refuse them' })

/** Text embeddings: `@cf/baai/bge-*`. */
export const embeddingSchema = z
  .strictObject({
    text: texts.meta({ description: 'A text, or a list of texts' }),
    pooling: z.enum(['mean', 'cls']).optional().meta({ description: "Must be the model's own" }),
    truncate_inputs: truncated,
  })
  .meta({ id: 'WorkersAiTextEmbeddings' })

/** Texts of two kinds, as `@cf/qwen/qwen3-embedding-*` takes them: one of the two, beside an instruction. */
export const promptedEmbeddingSchema = z
  .strictObject({ queries: texts.optional(), documents: texts.optional() })
  .refine(({ queries, documents }) => (queries === undefined) !== (documents === undefined), {
    error: 'one of "queries" and "documents" is needed',
  })
  .meta({ id: 'WorkersAiPromptedEmbeddings' })

/** `@cf/baai/bge-m3` with contexts alone: their vectors. */
export const contextsSchema = z.strictObject({ contexts, truncate_inputs: truncated }).meta({ id: 'WorkersAiContexts' })

/** `@cf/baai/bge-reranker-base`, and `@cf/baai/bge-m3` with a query. */
export const rankingSchema = z
  .strictObject({
    query: z.string(),
    contexts,
    top_k: z.number().int().positive().optional().meta({ description: 'Maximum number, best first' }),
    truncate_inputs: z.literal(true, { error: 'contexts are always truncated to fit; remove it' }).optional(),
  })
  .meta({ id: 'WorkersAiRanking' })

/** Sentence similarity. */
export const similaritySchema = z
  .strictObject({ source: z.string(), sentences: z.array(z.string()).min(1) })
  .meta({ id: 'WorkersAiSimilarity' })

/** Text classification: `@cf/huggingface/distilbert-sst-2-int8`. */
export const classificationSchema = z.strictObject({ text: z.string() }).meta({ id: 'WorkersAiTextClassification' })

const message = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant']),
  content: z.union([z.string(), z.array(z.strictObject({ type: z.literal('text'), text: z.string() }))], {
    error: 'a text or a list of parts of type "text" is needed',
  }),
  name: z.string().nullish(),
})

const UNSUPPORTED = { error: 'is not supported; remove it' }
const none = z.union([z.array(z.unknown()).max(0), z.null()], UNSUPPORTED).optional()

/** Text generation: `prompt` or `messages`. */
export const textSchema = ({ chatMessages }: Pick<Limits, 'chatMessages'>) =>
  z
    .strictObject({
      prompt: z.string().min(1).optional(),
      messages: z.array(message).min(1).max(chatMessages).optional(),
      raw: z.boolean().optional().meta({ description: 'The prompt is not put into the chat template' }),
      stream: z.boolean().optional(),
      max_tokens: z.number().int().positive().optional(),
      temperature: z.number().min(0).max(5).optional(),
      top_p: z.number().min(0).max(1).optional(),
      top_k: z.number().int().min(0).optional(),
      seed,
      repetition_penalty: z.number().positive().max(2).optional(),
      frequency_penalty: z.number().min(-2).max(2).optional(),
      presence_penalty: z.number().min(-2).max(2).optional(),
      tools: none,
      functions: none,
      response_format: z.strictObject({ type: z.literal('text', { error: 'only "text" is supported' }) }).optional(),
      lora: z.undefined(UNSUPPORTED).optional(),
    })
    .refine(({ prompt, messages }) => (prompt === undefined) !== (messages === undefined), {
      error: 'either "prompt" or "messages" is needed',
    })
    .meta({ id: 'WorkersAiTextGeneration' })
export type TextRequest = z.infer<ReturnType<typeof textSchema>>
