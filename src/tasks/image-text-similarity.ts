import * as z from 'zod'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { refuseManyItems, validate } from '../core/validation.ts'
import { EXAMPLE_PNG, IMAGE_TYPES, readImageRequest } from './pictures/input.ts'
import type { BoundTask, TaskBody } from './task.ts'
import { TextReader } from './text/reading.ts'
import { checkTexts, fieldIn } from './text/texts.ts'
import { picturesSide } from './two-encoders/pictures.ts'
import { scorePairs } from './two-encoders/two-encoders.ts'

const one = z.string()
const oneOrMore = z.union([one, z.array(one).min(1)])
const scoreSchema = z
  .enum(['cosine', 'logits'])
  .optional()
  .meta({ description: 'The cosine of both vectors (default), or the score that the model gives the pair' })
const requestSchema = z
  .strictObject({
    inputs: z.strictObject({
      images: oneOrMore.meta({ description: 'Pictures in base64, or as data: URLs' }),
      texts: oneOrMore,
    }),
    parameters: z
      .strictObject({
        score: scoreSchema,
        texts: oneOrMore.optional().meta({ description: 'Only beside a picture that is the body itself' }),
      })
      .optional(),
  })
  .meta({ id: 'ImageTextSimilarityRequest' })

/** Beside a picture that is the body itself. */
const besidePicture = z.strictObject({ texts: oneOrMore, score: scoreSchema })

const responseSchema = z
  .array(z.array(z.number()))
  .meta({ id: 'ImageTextSimilarity', description: 'A row for each picture, with a number for each text' })

interface Comparison {
  readonly pictures: readonly Uint8Array[]
  readonly texts: readonly string[]
  readonly score: 'cosine' | 'logits'
  readonly field: string
}

/** How well pictures and texts fit each other: each picture with each text. */
export function imageTextSimilarity(limits: Limits): BoundTask {
  return {
    name: 'image-text-similarity',
    mediaTypes: IMAGE_TYPES,
    files: TextReader.files,
    request: requestSchema,
    response: responseSchema,
    example: { inputs: { images: [EXAMPLE_PNG], texts: ['a drawing of a seven', 'a photo of a cat'] } },

    async execute(body, model, run) {
      refuseManyItems(body.kind === 'json' ? body.value : body.parameters, limits.requestItems)
      const { field, pictures, score, texts } = comparisonIn(body, limits)
      checkTexts(texts, fieldIn(field, true), limits)
      const side = picturesSide(pictures, model, limits)
      const rows = await scorePairs({ texts, field: fieldIn(field, true) }, side, score, { model, limits, run })
      return rows.map((row) => [...row])
    },
  }
}

/** Whether a JSON body is such a request, of a model that has other tasks too. */
export function comparesPictures(value: unknown): boolean {
  return requestSchema.safeParse(value).success
}

/** @throws invalid_request, unsupported_media_type, empty_input, input_too_large */
function comparisonIn(body: TaskBody, limits: Limits): Comparison {
  if (body.kind === 'bytes') {
    const { bytes, parameters } = readImageRequest(body, besidePicture, limits)
    const { score = 'cosine', texts } = parameters
    return { pictures: [bytes], texts: [texts].flat(), score, field: 'parameters.texts' }
  }
  const { inputs, parameters } = validate(requestSchema, body.value, 'The request')
  if (parameters?.texts !== undefined) {
    throw new VergeError('invalid_request', 'A JSON body has its texts in "inputs.texts". Remove "parameters.texts".', {
      details: { field: 'parameters.texts' },
    })
  }
  const images = [inputs.images].flat()
  if (images.length > limits.picturesPerRequest) {
    throw new VergeError(
      'input_too_large',
      `A request may have at most ${limits.picturesPerRequest} pictures. Send them in several requests.`,
      { details: { limit_pictures: limits.picturesPerRequest } },
    )
  }
  const pictures = images.map(
    (image) => readImageRequest({ kind: 'json', value: { inputs: image } }, z.strictObject({}), limits).bytes,
  )
  return { pictures, texts: [inputs.texts].flat(), score: parameters?.score ?? 'cosine', field: 'inputs.texts' }
}
