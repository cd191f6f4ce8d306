import * as z from 'zod'
import type { Limits } from '../../core/limits.ts'
import { seed, stopString } from '../generation-fields.ts'

/** Accepted, because it changes nothing of an answer here. */
const ignored = z.unknown().optional().meta({ description: 'Accepted and ignored' })

/** Refused by name before the schema is asked, unless it asks for nothing. */
const later = z.unknown().optional().meta({ description: 'Refused, unless it asks for nothing' })

type OptionLimits = Pick<Limits, 'stopStringLength' | 'stopStrings'>

const penalty = z.number().min(-2).max(2).nullish()

const optionsSchema = (limits: OptionLimits) =>
  z
    .strictObject({
      temperature: z.number().min(0).max(2).nullish().meta({ description: 'Default: 0.8' }),
      top_k: z.number().int().nonnegative().nullish().meta({ description: 'Default: 40; 0: all' }),
      top_p: z.number().min(0).max(1).nullish().meta({ description: 'Default: 0.9' }),
      min_p: z.number().min(0).max(1).nullish(),
      seed,
      num_predict: z
        .number()
        .int()
        .nullish()
        .meta({ description: 'Maximum tokens of the answer; 0 or less: as set for the model' }),
      stop: z.union([stopString(limits), z.array(stopString(limits)).max(limits.stopStrings), z.null()]).optional(),
      repeat_penalty: z.number().positive().max(10).nullish().meta({ description: 'Default: 1' }),
      presence_penalty: penalty,
      frequency_penalty: penalty,
      repeat_last_n: later,
      tfs_z: later,
      typical_p: later,
      mirostat: later,
      mirostat_eta: ignored,
      mirostat_tau: ignored,
      penalize_newline: ignored,
      num_ctx: ignored,
      num_keep: ignored,
      num_batch: ignored,
      num_gpu: ignored,
      main_gpu: ignored,
      num_thread: ignored,
      numa: ignored,
      low_vram: ignored,
      f16_kv: ignored,
      logits_all: ignored,
      vocab_only: ignored,
      use_mmap: ignored,
      use_mlock: ignored,
      embedding_only: ignored,
    })
    .meta({ id: 'OllamaOptions' })
export type OllamaOptions = z.infer<ReturnType<typeof optionsSchema>>

/** What chats and continued texts have in common. */
const common = (limits: OptionLimits) => ({
  model: z.string(),
  stream: z.boolean().nullish().meta({ description: 'Default: true' }),
  options: optionsSchema(limits).nullish(),
  keep_alive: z.union([z.string(), z.number()]).nullish().meta({ description: 'Accepted and ignored, but for 0' }),
  format: later,
  think: later,
  logprobs: later,
  top_logprobs: later,
  truncate: later,
  shift: ignored,
})

const messageSchema = z
  .strictObject({
    role: z.enum(['system', 'user', 'assistant', 'tool']),
    content: z.string().nullish(),
    images: later,
    thinking: ignored,
    tool_calls: z
      .array(
        z.looseObject({
          id: z.string().nullish(),
          function: z.looseObject({ name: z.string(), arguments: z.record(z.string(), z.unknown()).nullish() }),
        }),
      )
      .nullish(),
    tool_name: z.string().nullish(),
    tool_call_id: z.string().nullish(),
  })
  .meta({ id: 'OllamaMessage' })
export type OllamaMessage = z.infer<typeof messageSchema>

/** `POST /api/chat`, as Ollama has it. */
export const ollamaChatRequestSchema = (limits: OptionLimits) =>
  z
    .strictObject({ ...common(limits), messages: z.array(messageSchema).nullish(), tools: later })
    .meta({ id: 'OllamaChatRequest' })

/** `POST /api/generate`, as Ollama has it. */
export const ollamaGenerateRequestSchema = (limits: OptionLimits) =>
  z
    .strictObject({
      ...common(limits),
      prompt: z.string().nullish(),
      system: z.string().nullish(),
      raw: z.boolean().nullish().meta({ description: 'The prompt is continued as it is, without the template' }),
      suffix: later,
      template: later,
      context: later,
      images: later,
      width: later,
      height: later,
      steps: later,
    })
    .meta({ id: 'OllamaGenerateRequest' })
export type OllamaGenerateRequest = z.infer<ReturnType<typeof ollamaGenerateRequestSchema>>

/** Counts, and durations in nanoseconds by the Worker's clock. */
export interface OllamaFigures {
  readonly total_duration: number
  readonly load_duration: number
  readonly prompt_eval_count: number
  readonly prompt_eval_duration: number
  readonly eval_count: number
  readonly eval_duration: number
}

export type DoneReason = 'stop' | 'length' | 'load' | 'unload'

/** A line of a stream, or the whole answer; the text is in `message` or in `response`. */
export interface OllamaAnswer extends Partial<OllamaFigures> {
  readonly model: string
  /** RFC 3339. */
  readonly created_at: string
  readonly message?: { readonly role: 'assistant'; readonly content: string }
  readonly response?: string
  readonly done: boolean
  readonly done_reason?: DoneReason
}
