import * as z from 'zod'
import type { Limits } from '../core/limits.ts'
import { embed, embeddingParametersSchema, embedTokens, type TextVectors } from './embedding.ts'
import { ownKind } from './embedding-output.ts'
import { TextReader } from './reading.ts'
import type { BoundTask } from './task.ts'
import { checkTexts, fieldIn, readTextBody } from './texts.ts'

/** Parameters may stand beside `inputs` too: sentence-transformers' servers and the Hugging Face client have it so. */
const requestSchema = z
  .strictObject({
    inputs: z.union([z.string(), z.array(z.string()).min(1)]).meta({ description: 'A text, or a list of texts' }),
    parameters: embeddingParametersSchema.optional(),
    ...embeddingParametersSchema.shape,
  })
  .meta({ id: 'FeatureExtractionRequest' })

const vector = z.array(z.number())
const responseSchema = z.union([vector, z.array(vector), z.array(z.array(vector))]).meta({
  description: 'A vector for one text, a list of vectors for a list; without pooling each has a vector per token',
})

/** Vectors of texts, for searching, grouping and comparing. */
export function featureExtraction(limits: Limits): BoundTask {
  return {
    name: 'feature-extraction',
    mediaTypes: ['text/plain'],
    files: TextReader.files,
    request: requestSchema,
    response: responseSchema,
    example: { inputs: ['How do I get my money back?', 'Refunds are paid within a week.'] },

    async execute(body, model, run) {
      const { inputs, parameters, ...beside } = readTextBody(requestSchema, body, limits)
      const texts = typeof inputs === 'string' ? [inputs] : inputs
      const field = fieldIn('inputs', texts === inputs)
      checkTexts(texts, field, limits)
      const options = { ...beside, ...parameters, field }
      const embedder = { model, limits, run }
      const vectors: unknown[] =
        ownKind(model.manifest) === 'tokens'
          ? (await embedTokens(texts, options, embedder)).vectors.map(perToken)
          : (await embed(texts, options, embedder)).vectors.map((values) => Array.from(values))
      return typeof inputs === 'string' ? vectors[0] : vectors
    },
  }
}

function perToken({ values, width }: TextVectors): number[][] {
  return Array.from({ length: values.length / width }, (_, i) =>
    Array.from(values.subarray(i * width, (i + 1) * width)),
  )
}
