import * as z from 'zod'

/** What is read of answers of `/v1/chat/completions` and `/v1/completions`, whoever wrote them; other fields are not looked at. */

const finishReason = z.string().nullish()

const choice = z.object({
  index: z.number().int().nonnegative().default(0),
  /** Of a completion. */
  text: z.string().nullish(),
  message: z.object({ content: z.string().nullish() }).nullish(),
  delta: z.object({ content: z.string().nullish() }).nullish(),
  finish_reason: finishReason,
  /** vLLM's: the stop string that ended the text, or the number of the token that did. */
  stop_reason: z.union([z.string(), z.number()]).nullish(),
})

const usage = z.object({
  prompt_tokens: z.number().int().nonnegative(),
  completion_tokens: z.number().int().nonnegative().default(0),
})

const answer = z.object({ choices: z.array(choice), usage: usage.nullish() })
export type ReadAnswer = z.infer<typeof answer>

/** An answer, or an event of one; undefined for what is neither. */
export function readOpenAiAnswer(json: unknown): ReadAnswer | undefined {
  const read = answer.safeParse(json)
  return read.success ? read.data : undefined
}

const embeddings = z.object({
  data: z.array(z.object({ index: z.number().int().nonnegative(), embedding: z.array(z.number()) })),
  usage: z.object({ prompt_tokens: z.number().int().nonnegative() }).nullish(),
})

/** An answer of `/v1/embeddings` in numbers, in the order of its texts; undefined for what is none. */
export function readEmbeddings(
  json: unknown,
): { readonly vectors: readonly (readonly number[])[]; readonly tokens: number } | undefined {
  const read = embeddings.safeParse(json)
  if (!read.success) return undefined
  const { data, usage: counted } = read.data
  const vectors = [...data].sort((a, b) => a.index - b.index).map(({ embedding }) => embedding)
  return { vectors, tokens: counted?.prompt_tokens ?? 0 }
}
