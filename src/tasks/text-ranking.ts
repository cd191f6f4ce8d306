import * as z from 'zod'
import type { Manifest } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { type Tensors, toFloats } from '../core/tensors.ts'
import type { Work } from '../core/work.ts'
import type { Encoding } from '../media/text/tokenizer.ts'
import { runInBatches, TokenCount } from './batches.ts'
import { type Embedder, embed, firstPrompt } from './embedding.ts'
import { cosine } from './pooling.ts'
import { type PairText, TextReader } from './reading.ts'
import type { BoundTask } from './task.ts'
import { checkTexts, emptyText, readTextBody } from './texts.ts'

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

export interface RankOptions {
  readonly rawScores: boolean
  /** The request's fields, for messages. */
  readonly queryField: string
  readonly textField: (place: number) => string
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
 * @throws as `embed`
 */
export async function rank(
  query: string,
  texts: readonly string[],
  options: RankOptions,
  embedder: Embedder,
): Promise<Ranking> {
  const all = [query, ...texts]
  const field = (place: number): string => (place === 0 ? options.queryField : options.textField(place - 1))
  checkTexts(all, field, embedder.limits)
  const { scores, tokens } =
    embedder.model.manifest.task === 'text-ranking'
      ? await readTogether(query, texts, options, embedder)
      : await compareVectors(all, field, embedder)
  const ranked = scores.map((score, index) => ({ index, score })).sort((a, b) => b.score - a.score || a.index - b.index)
  return { ranked, tokens }
}

interface Scores {
  /** In the order of the texts. */
  readonly scores: readonly number[]
  readonly tokens: number
}

/** Names that models give their prompts for what is looked for, and for what is looked through. */
const QUERY_PROMPTS = ['query']
const TEXT_PROMPTS = ['passage', 'document', 'corpus']

async function compareVectors(
  all: readonly string[],
  field: (place: number) => string,
  embedder: Embedder,
): Promise<Scores> {
  const { manifest } = embedder.model
  const forText = firstPrompt(manifest, TEXT_PROMPTS)
  const prompts = all.map((_, i) => (i === 0 ? firstPrompt(manifest, QUERY_PROMPTS) : forText))
  const { vectors, tokens } = await embed(all, { field }, embedder, prompts)
  const [asked = new Float32Array(0), ...others] = vectors
  return { scores: others.map((vector) => cosine(asked, vector)), tokens }
}

async function readTogether(
  query: string,
  texts: readonly string[],
  { rawScores, queryField, textField }: RankOptions,
  { model, limits, run }: Embedder,
): Promise<Scores> {
  const { manifest } = model
  const reader = await TextReader.open(model, limits)
  const { tokenizer } = reader
  const count = new TokenCount(limits)
  const pairs = await reader.perform(
    [query, ...texts],
    reader.maxTokens,
    pairsOf({ text: query, field: queryField }, texts, textField, reader, count),
  )
  const raw = rawScores || manifest.activation === 'none'
  const scores = new Array<number>(texts.length).fill(0)
  await runInBatches(pairs, tokenizer.padId, model, limits, run, (outputs, places) => {
    const logits = logitsOf(outputs, places.length, manifest)
    for (const [row, place] of places.entries()) {
      const logit = logits[row] ?? 0
      scores[place] = raw ? logit : 1 / (1 + Math.exp(-logit))
    }
  })
  return { scores, tokens: count.total }
}

function* pairsOf(
  query: PairText,
  texts: readonly string[],
  textField: (i: number) => string,
  reader: TextReader,
  count: TokenCount,
): Work<Encoding[]> {
  // Once for all texts: a long query with few tokens costs more than all of them.
  const asked = reader.text(query)
  if ((yield* asked.tokens(reader.maxTokens)).length === 0) throw emptyText(query.field)
  const pairs: Encoding[] = []
  for (const [i, text] of texts.entries()) {
    const own = reader.text({ text, field: textField(i) })
    if ((yield* own.tokens(reader.maxTokens)).length === 0) throw emptyText(textField(i))
    const pair = yield* reader.pair(asked, own)
    count.add(pair.ids.length)
    pairs.push(pair)
  }
  return pairs
}

/** One number for each pair. @throws manifest_invalid */
function logitsOf(outputs: Tensors, rows: number, manifest: Manifest): Float32Array {
  for (const output of outputs.values()) {
    const values = toFloats(output)
    if (values?.length === rows && output.shape[0] === rows) return values
  }
  throw new VergeError(
    'manifest_invalid',
    `Model "${manifest.model}" version "${manifest.version}" has no output with one score per text. Push the model again with another task.`,
  )
}
