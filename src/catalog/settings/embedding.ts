import * as z from 'zod'

/**
 * How the vectors of a text's tokens become one: their mean, the first, the last or the greatest value of each
 * dimension; `none` leaves them as they are. Padding takes no part.
 */
export const POOLINGS = ['mean', 'cls', 'last', 'max', 'none'] as const
export type Pooling = (typeof POOLINGS)[number]

/** A token of the model's own tokenizer. */
const tokenId = z.number().int().nonnegative()

/** How a text becomes a sparse vector: a weight for some tokens of the vocabulary. */
export const sparseSettingsSchema = z.object({
  output: z.string().min(1),
  /**
   * What the output holds. `logits`: a score of each of a text's tokens for each of the vocabulary, [batch, tokens,
   * vocabulary], as SPLADE's; `vector`: a text's finished vector, [batch, vocabulary]; `weights`: one weight for each of
   * a text's own tokens, [batch, tokens] or [batch, tokens, 1], as bge-m3's.
   */
  form: z.enum(['logits', 'vector', 'weights']),
  /** Of `logits`: how those of a text's tokens become one. Left out: the greatest. */
  pooling: z.enum(['max', 'sum']).optional(),
  /** Of `logits`: `relu` is log(1 + max(0, x)), `log1p_relu` the logarithm of that once more. Left out: `relu`. */
  activation: z.enum(['relu', 'log1p_relu']).optional(),
})
export type SparseSettings = z.infer<typeof sparseSettingsSchema>

/** How a text becomes vectors of its tokens, as ColBERT's models make them. */
const tokenSettingsSchema = z.object({
  /** Left out: the first output with a vector for each token. */
  output: z.string().min(1).optional(),
  /** Whether each token's vector is brought to length 1. */
  normalize: z.boolean().default(true),
  /** Tokens whose vectors are left out of answers, such as punctuation; a query keeps all of its own. */
  skip: z.array(tokenId).max(1_000).optional(),
  /** Leaves out the first token's vector, as bge-m3 does. */
  skipFirst: z.boolean().optional(),
  /** A text that has this prompt has so many tokens: a longer one is cut, a shorter one filled up with a token whose vectors count. */
  query: z
    .object({
      prompt: z.string(),
      tokens: z.number().int().positive().max(512),
      fill: tokenId,
      /** Whether the other tokens look at those that were filled in. Left out: no. */
      attended: z.boolean().optional(),
    })
    .optional(),
})

/** How a text becomes vectors, as sentence-transformers' modules say it. */
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
  sparse: sparseSettingsSchema.optional(),
  tokens: tokenSettingsSchema.optional(),
})

export type EmbeddingSettings = z.infer<typeof embeddingSettingsSchema>
