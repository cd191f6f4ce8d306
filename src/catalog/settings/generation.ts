import * as z from 'zod'

/** How a causal language model writes. What depends on its shape (layers, heads) is read from its signature. */
export const generationSettingsSchema = z.object({
  /** Most tokens of prompt and answer together. */
  contextLength: z.number().int().positive().max(1_048_576),
  /** Ids of tokens that end an answer. */
  stopTokens: z.array(z.number().int().nonnegative()).max(64),
  /** New tokens if the request sets no maximum; default 256, or less if the context is shorter. */
  defaultMaxTokens: z.number().int().positive().optional(),
  /** `bos_token` of the chat template; default: the token that the tokenizer prepends to a text. */
  bosToken: z.string().max(256).optional(),
  /** Its `eos_token`; default: the first of `stopTokens`. */
  eosToken: z.string().max(256).optional(),
})

export type GenerationSettings = z.infer<typeof generationSettingsSchema>

/** The file of a manifest that turns messages into a prompt: Jinja, as Hugging Face's `chat_template.jinja`. */
export const CHAT_TEMPLATE_FILE = 'chat_template.jinja'
