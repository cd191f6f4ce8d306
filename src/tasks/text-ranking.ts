import * as z from 'zod'
import type { Limits } from '../core/limits.ts'
import type { BoundTask, ModelCall } from './task.ts'
import { type PairOptions, type PairScores, scorePairs } from './text/pair-scores.ts'
import { TextReader } from './text/reading.ts'
import { checkTexts, readTextBody } from './text/texts.ts'
import { firstPrompt } from './vectors/embedding-prompts.ts'
import { compareTexts } from './vectors/scores.ts'

const requestSchema = z
  .strictObject({
    inputs: z.strictObject({
      query: z.string().meta({ description: 'Search query' }),
      texts: z.array(z.string()).min(1).meta({ description: 'Texts to rank by relevance to the query' }),
    }),
    parameters: z
      .strictObject({
        top_n: z.number().int().positive().optional().meta({ description: 'How many texts, best first' }),
        raw_scores: z.boolean().optional().meta({ description: "Return the model's raw scores instead of 0 to 1" }),
        return_text: z.boolean().optional().meta({ description: 'Return each text with its score' }),
      })
      .optional(),
  })
  .meta({ id: 'TextRankingRequest' })

export const rankingSchema = z
  .array(z.object({ index: z.number().int(), score: z.number(), text: z.string().optional() }))
  .meta({ id: 'TextRanking', description: 'Best first; `index` is the position in the texts of the request' })

export interface Ranked {
  /** Place among the texts. */
  readonly index: number
  readonly score: number
}

export interface Ranking {
  /** Best first; of equals, the one that came first. */
  readonly ranked: readonly Ranked[]
  readonly tokens: number
}

export interface RankOptions extends PairOptions {
  /** The request's fields, for messages. */
  readonly queryField: string
  readonly textField: (place: number) => string
}

/** A text of each pair, and the fields that both lists stand in. */
export interface ScoreOptions extends PairOptions {
  readonly firstField: (place: number) => string
  readonly secondField: (place: number) => string
}

/** Which texts answer a question best, by a model that reads both together (a cross-encoder). */
export function textRanking(limits: Limits): BoundTask {
  return {
    name: 'text-ranking',
    mediaTypes: [],
    files: TextReader.files,
    request: requestSchema,
    response: rankingSchema,
    example: {
      inputs: {
        query: 'How do I get my money back?',
        texts: ['Refunds are paid within a week.', 'Our shops open at nine.'],
      },
      parameters: { top_n: 1 },
    },

    async execute(body, model, run) {
      const { inputs, parameters = {} } = readTextBody(requestSchema, body, limits)
      const { ranked } = await rank(
        inputs.query,
        inputs.texts,
        {
          rawScores: parameters.raw_scores ?? false,
          queryField: 'inputs.query',
          textField: (place) => `inputs.texts[${place}]`,
        },
        { model, limits, run },
      )
      const best = ranked.slice(0, parameters.top_n)
      return parameters.return_text ? best.map((item) => ({ ...item, text: inputs.texts[item.index] })) : best
    },
  }
}

/**
 * Orders texts by how well they answer a query: by the scores of a cross-encoder, or, with a model that embeds texts one
 * by one, by the cosines of their vectors.
 * @throws as `embedVectors`
 */
export async function rank(
  query: string,
  texts: readonly string[],
  { queryField, textField, ...options }: RankOptions,
  embedder: ModelCall,
): Promise<Ranking> {
  const fields = { firstField: () => queryField, secondField: textField }
  const { scores, tokens } = await score([query], texts, { ...options, ...fields }, embedder)
  const ranked = scores.map((value, index) => ({ index, score: value }))
  return { ranked: ranked.sort((a, b) => b.score - a.score || a.index - b.index), tokens }
}

/**
 * How well each text of one list answers its counterpart of another, or all of them one query.
 * @param firsts one for each second text, or one for all of them
 * @throws as `embedVectors`
 */
export async function score(
  firsts: readonly string[],
  seconds: readonly string[],
  options: ScoreOptions,
  embedder: ModelCall,
): Promise<PairScores> {
  const all = [...firsts, ...seconds]
  const field = (place: number): string =>
    place < firsts.length ? options.firstField(place) : options.secondField(place - firsts.length)
  checkTexts(all, field, embedder.limits)
  if (embedder.model.manifest.task !== 'text-ranking') {
    return compareVectors(all, firsts.length, { ...options, field }, embedder)
  }
  const fielded = all.map((text, i) => ({ text, field: field(i) }))
  return scorePairs(fielded.slice(0, firsts.length), fielded.slice(firsts.length), options, embedder)
}

/** Names that models give their prompts for what is looked for, and for what is looked through. */
const QUERY_PROMPTS = ['query']
const TEXT_PROMPTS = ['passage', 'document', 'corpus']

/** @param queries how many of the texts are looked for */
async function compareVectors(
  all: readonly string[],
  queries: number,
  { field, maxTokens, maxTokensOfSecond, side, truncate }: PairOptions & { readonly field: (place: number) => string },
  embedder: ModelCall,
): Promise<PairScores> {
  const { manifest } = embedder.model
  const [forQuery, forText] = [firstPrompt(manifest, QUERY_PROMPTS), firstPrompt(manifest, TEXT_PROMPTS)]
  const prompts = all.map((_, i) => (i < queries ? forQuery : forText))
  const options = {
    field,
    prompts,
    ...(truncate !== undefined && { truncate }),
    ...(side !== undefined && { truncation_direction: side }),
    maxTokens: (place: number) =>
      Math.min(
        maxTokens ?? Number.POSITIVE_INFINITY,
        place < queries ? Number.POSITIVE_INFINITY : (maxTokensOfSecond ?? Number.POSITIVE_INFINITY),
      ),
  }
  return compareTexts(all, queries, options, embedder)
}
