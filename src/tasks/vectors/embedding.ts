import * as z from 'zod'
import type { Prompt } from './embedding-prompts.ts'

/** A prompt of a request's own, in UTF-16 units: as long as one in a manifest. */
const LONGEST_PROMPT = 2_000

/** What a request may say of how its texts become vectors, as sentence-transformers and the Hugging Face API name it. */
export const embeddingParametersSchema = z
  .strictObject({
    dimensions: z
      .number()
      .int()
      .positive()
      .optional()
      .meta({ description: 'Truncate vectors to this many dimensions' }),
    normalize: z
      .boolean()
      .optional()
      .meta({ description: 'Normalize vectors to length 1; by default as set in the manifest' }),
    prompt_name: z.string().optional().meta({ description: 'Name of the prompt of the model to prepend to each text' }),
    prompt: z
      .string()
      .max(LONGEST_PROMPT)
      .optional()
      .meta({ description: 'Text to prepend to each text, instead of a prompt of the model' }),
    late_chunking: z
      .boolean()
      .optional()
      .meta({ description: 'Read all texts as one, and pool each over its own tokens' }),
    truncate: z.boolean().optional().meta({ description: 'Truncate long texts instead of refusing them' }),
    truncation_direction: z
      .literal(['right', 'Right', 'left', 'Left'])
      .optional()
      .meta({ description: 'Which end to truncate; by default as set for the model' }),
  })
  .meta({ id: 'EmbeddingParameters' })
export type EmbeddingParameters = z.infer<typeof embeddingParametersSchema>

/** A text, or its token ids as the model's own tokenizer gives them, special tokens included. */
export type EmbeddingInput = string | readonly number[]

export interface EmbeddingOptions extends EmbeddingParameters {
  /** The request's field that a text stands in, for messages. */
  readonly field: (place: number) => string
  /** One for each text, instead of `prompt` and `prompt_name`. */
  readonly prompts?: readonly Prompt[]
  /** Most tokens of each text, special ones included, where they are to be fewer than the model takes. */
  readonly maxTokens?: (place: number) => number
}

/** What a text became: vectors of `width` elements one after the other, one for each token or a single one. */
export interface TextVectors {
  readonly values: Float32Array
  readonly width: number
}
