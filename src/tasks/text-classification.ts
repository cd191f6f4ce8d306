import { z } from 'zod'
import type { Manifest } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Tensors } from '../core/tensors.ts'
import { decodeUtf8 } from '../core/utf8.ts'
import { validate } from '../core/validation.ts'
import { TextTokenizer } from '../media/text/tokenizer.ts'
import { textTensors } from './inputs.ts'
import {
  type Classification,
  type ClassificationParameters,
  classificationParametersSchema,
  classificationSchema,
  classifications,
} from './scores.ts'
import type { Task, TaskBody } from './task.ts'

/** One text is answered with one list; a list of texts with a list of lists, as Hugging Face does. */
interface Parameters extends ClassificationParameters {
  readonly batched: boolean
}

const requestSchema = z
  .strictObject({
    inputs: z.union([z.string(), z.array(z.string()).min(1)]).meta({ description: 'A text, or a list of texts' }),
    parameters: classificationParametersSchema.optional(),
  })
  .meta({ id: 'TextClassificationRequest' })

const responseSchema = z.union([classificationSchema, z.array(classificationSchema)])

/** Sentiment, topic, language and the like: a label for a text. All labels are answered unless `top_k` says fewer. */
export function textClassification(
  limits: Limits,
): Task<readonly string[], Parameters, Classification | Classification[]> {
  return {
    name: 'text-classification',
    mediaTypes: ['text/plain'],
    request: requestSchema,
    response: responseSchema,
    example: { inputs: 'A quiet film that stays with you: wonderfully acted, and not a minute too long.' },

    parse(body) {
      const { inputs, parameters } = readBody(body)
      const batched = typeof inputs !== 'string'
      const texts = batched ? inputs : [inputs]
      if (texts.length > limits.textsPerRequest) {
        throw new VergeError('input_too_large', `A request may have at most ${limits.textsPerRequest} texts.`, {
          details: { limit_texts: limits.textsPerRequest },
        })
      }
      for (const text of texts) checkText(text, limits.textLength)
      return { input: texts, parameters: { ...parameters, batched } }
    },

    async toTensors(texts, _parameters, model) {
      const { manifest } = model
      const tokenizer = await model.file('tokenizer.json', (bytes) => TextTokenizer.parse(bytes))
      const maxTokens = manifest.text?.maxTokens ?? limits.textTokens
      return textTensors(
        texts.map((text) => tokenizer.encode(text, maxTokens)),
        tokenizer.padId,
        manifest,
      )
    },

    fromTensors(outputs: Tensors, parameters: Parameters, manifest: Manifest) {
      const lists = classifications(outputs, parameters, manifest, Number.POSITIVE_INFINITY)
      return parameters.batched ? lists : (lists[0] ?? [])
    },
  }
}

function readBody(body: TaskBody): z.infer<typeof requestSchema> {
  if (body.kind === 'json') return validate(requestSchema, body.value, 'The request')
  if (body.mediaType !== 'text/plain') {
    throw new VergeError(
      'unsupported_media_type',
      'This model takes text. Send text/plain, or application/json with {"inputs": "..."}.',
    )
  }
  const inputs = decodeUtf8(body.bytes)
  if (inputs === undefined) throw new VergeError('invalid_request', 'The text is not valid UTF-8.')
  return validate(requestSchema, { inputs, parameters: body.parameters }, 'The request')
}

function checkText(text: string, maxLength: number): void {
  if (text.length > maxLength) {
    throw new VergeError('input_too_large', `A text may have at most ${maxLength} characters. Send a part of it.`, {
      details: { limit_characters: maxLength },
    })
  }
  if (text.trim() === '') throw new VergeError('empty_input', 'The text is empty. Send some words.')
}
