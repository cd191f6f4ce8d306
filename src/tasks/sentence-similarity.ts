import * as z from 'zod'
import type { Limits } from '../core/limits.ts'
import type { BoundTask } from './task.ts'
import { TextReader } from './text/reading.ts'
import { checkTexts, readTextBody } from './text/texts.ts'
import { embeddingParametersSchema } from './vectors/embedding.ts'
import { compareTexts } from './vectors/scores.ts'

const requestSchema = z
  .strictObject({
    inputs: z.strictObject({
      source_sentence: z.string().meta({ description: 'Sentence to compare the others with' }),
      sentences: z.array(z.string()).min(1),
    }),
    parameters: embeddingParametersSchema.optional(),
  })
  .meta({ id: 'SentenceSimilarityRequest' })

/** Whether a JSON body is one of this task, by its shape alone. */
export function asksForSimilarity(value: unknown): boolean {
  const inputs = typeof value === 'object' && value !== null && 'inputs' in value ? value.inputs : undefined
  return typeof inputs === 'object' && inputs !== null && 'source_sentence' in inputs
}

/** How near each sentence is to the first, in their order: cosines of their vectors, or as `compareTexts` scores others. */
export function sentenceSimilarity(limits: Limits): BoundTask {
  return {
    name: 'sentence-similarity',
    mediaTypes: [],
    files: TextReader.files,
    request: requestSchema,
    response: z.array(z.number()).meta({
      description:
        'Cosine similarity for each sentence, in order; MaxSim or a dot product where a model makes no dense vectors',
    }),
    example: {
      inputs: {
        source_sentence: 'The cat sleeps on the sofa.',
        sentences: ['A kitten naps on the couch.', 'Interest rates rose again.'],
      },
    },

    async execute(body, model, run) {
      const { inputs, parameters } = readTextBody(requestSchema, body, limits)
      const { source_sentence: source, sentences } = inputs
      const texts = [source, ...sentences]
      const field = (place: number): string =>
        place === 0 ? 'inputs.source_sentence' : `inputs.sentences[${place - 1}]`
      checkTexts(texts, field, limits)
      const { scores } = await compareTexts(texts, 1, { ...parameters, field }, { model, limits, run })
      return scores
    },
  }
}
