import * as z from 'zod'
import type { Limits } from '../core/limits.ts'
import {
  encodedSchema,
  encodingSchema,
  kindsSchema,
  sparseAnswerSchema,
  textVectorsSchema,
} from '../protocols/text-vectors.ts'
import type { BoundTask } from './task.ts'
import { TextReader } from './text/reading.ts'
import { checkTexts, fieldIn, readTextBody } from './text/texts.ts'
import { answersOf, plainAnswers } from './vectors/answers.ts'
import { embeddingParametersSchema } from './vectors/embedding.ts'
import { ownKind } from './vectors/embedding-output.ts'
import { embedVectors } from './vectors/vectors.ts'

const parametersSchema = embeddingParametersSchema
  .extend({ kinds: kindsSchema.optional(), encoding_format: encodingSchema.optional() })
  .meta({ id: 'FeatureExtractionParameters' })

/** Parameters may stand beside `inputs` too: sentence-transformers' servers and the Hugging Face client have it so. */
const requestSchema = z
  .strictObject({
    inputs: z.union([z.string(), z.array(z.string()).min(1)]).meta({ description: 'A text, or a list of texts' }),
    parameters: parametersSchema.optional(),
    ...parametersSchema.shape,
  })
  .meta({ id: 'FeatureExtractionRequest' })

const answerSchema = z.union([encodedSchema, z.array(encodedSchema), sparseAnswerSchema, textVectorsSchema])
const responseSchema = z.union([answerSchema, z.array(answerSchema)]).meta({
  description:
    'A vector for one text, a list of vectors for a list; without pooling each has a vector per token. With `kinds` each is an object with the vectors of these kinds',
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
      const { encoding_format: encoding = 'float', kinds, ...options } = { ...beside, ...parameters }
      const own = ownKind(model.manifest)
      const made = await embedVectors(texts, kinds ?? [own], { ...options, field }, { model, limits, run })
      const answers = kinds === undefined ? plainAnswers(made, own, encoding) : answersOf(made, encoding)
      return typeof inputs === 'string' ? answers[0] : answers
    },
  }
}
