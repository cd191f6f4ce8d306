import * as z from 'zod'

/**
 * How the vectors of a text's tokens become one: their mean, the first, the last or the greatest value of each
 * dimension; `none` leaves them as they are. Padding takes no part.
 */
export const POOLINGS = ['mean', 'cls', 'last', 'max', 'none'] as const
export type Pooling = (typeof POOLINGS)[number]

/** How a text becomes a vector, as sentence-transformers' modules say it. */
export const embeddingSettingsSchema = z.object({
  /** For an output of token vectors; an output of one vector a text is taken as it is. */
  pooling: z.enum(POOLINGS).default('mean'),
  /** Whether vectors are brought to length 1. */
  normalize: z.boolean().default(true),
  /** The output that holds the vectors. Left out: `sentence_embedding`, else the first that can be. */
  output: z.string().min(1).optional(),
  /** Sizes that the model was trained to be cut to (Matryoshka). Left out: any up to its own. */
  dimensions: z.array(z.number().int().positive()).min(1).optional(),
  /** Texts to prepend to the input, by name: `{"query": "query: ", "passage": "passage: "}`. */
  prompts: z.record(z.string(), z.string().max(2_000)).optional(),
  /** The prompt used where a request names none. */
  defaultPrompt: z.string().optional(),
  /** Whether the tokens of a prompt count in the mean, and in the greatest values; as sentence-transformers by default. */
  includePrompt: z.boolean().optional(),
  /** Makes texts lower case before they are tokenized, as sentence-transformers' `do_lower_case`. */
  lowercase: z.boolean().optional(),
  /** Leaves out unknown tokens, as model2vec's static embeddings require. */
  dropUnknown: z.boolean().optional(),
})

export type EmbeddingSettings = z.infer<typeof embeddingSettingsSchema>
