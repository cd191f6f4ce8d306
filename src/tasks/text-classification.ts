import { z } from 'zod'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { TextTokenizer } from '../media/text/tokenizer.ts'
import { runInBatches } from './batches.ts'
import { type Classification, classificationParametersSchema, classificationSchema, classifications } from './scores.ts'
import type { BoundTask } from './task.ts'
import { checkTexts, emptyText, fieldIn, readTextBody } from './texts.ts'

const requestSchema = z
  .strictObject({
    inputs: z.union([z.string(), z.array(z.string()).min(1)]).meta({ description: 'A text, or a list of texts' }),
    parameters: classificationParametersSchema.optional(),
  })
  .meta({ id: 'TextClassificationRequest' })

/** One text is answered with one list; a list of texts with a list of lists, as Hugging Face does. */
const responseSchema = z.union([classificationSchema, z.array(classificationSchema)])

/** Sentiment, topic, language and the like: a label for a text. All labels are answered unless `top_k` says fewer. */
export function textClassification(limits: Limits): BoundTask {
  return {
    name: 'text-classification',
    mediaTypes: ['text/plain'],
    request: requestSchema,
    response: responseSchema,
    example: { inputs: 'A quiet film that stays with you: wonderfully acted, and not a minute too long.' },

    async execute(body, model, run) {
      const { inputs, parameters = {} } = readTextBody(requestSchema, body, limits)
      const texts = typeof inputs === 'string' ? [inputs] : inputs
      if (texts.length > limits.textsPerRequest) {
        throw new VergeError('input_too_large', `A request may have at most ${limits.textsPerRequest} texts.`, {
          details: { limit_texts: limits.textsPerRequest },
        })
      }
      const field = fieldIn('inputs', texts === inputs)
      checkTexts(texts, field, limits)
      const { manifest } = model
      const tokenizer = await model.file('tokenizer.json', (bytes) => TextTokenizer.parse(bytes))
      const most = manifest.text?.maxTokens ?? limits.textTokens
      const encoded = texts.map((text) => tokenizer.encode(text, most))
      const nothing = encoded.findIndex(
        ({ ids }, i) =>
          ids.length <= tokenizer.specialTokens(false) && tokenizer.tokens(texts[i] ?? '', 1).length === 0,
      )
      if (nothing !== -1) throw emptyText(field(nothing))
      const answers = texts.map((): Classification => [])
      await runInBatches(encoded, tokenizer.padId, model, limits, run, (outputs, places) => {
        const lists = classifications(outputs, parameters, manifest, Number.POSITIVE_INFINITY)
        for (const [row, place] of places.entries()) answers[place] = lists[row] ?? []
      })
      return typeof inputs === 'string' ? answers[0] : answers
    },
  }
}
