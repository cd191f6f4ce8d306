import * as z from 'zod'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Work } from '../core/work.ts'
import type { Encoding } from '../media/text/tokenizer.ts'
import {
  type Activation,
  bestLabels,
  type Classification,
  classificationParametersSchema,
  classificationSchema,
  labelScores,
} from './shared/scores.ts'
import type { BoundTask, ModelCall } from './task.ts'
import { runInBatches } from './text/batches.ts'
import { type Cutting, type PairText, TextReader } from './text/reading.ts'
import { checkTexts, emptyText, fieldIn, readTextBody } from './text/texts.ts'

const pairSchema = z
  .strictObject({ text: z.string(), text_pair: z.string() })
  .meta({ id: 'TextPair', description: 'Two texts that the model reads together, such as a claim and its source' })
const inputSchema = z.union([z.string(), pairSchema])
/** A text, or two that the model reads together. */
export type ClassifyInput = z.infer<typeof inputSchema>

const requestSchema = z
  .strictObject({
    inputs: z
      .union([z.string(), pairSchema, z.array(inputSchema).min(1)])
      .meta({ description: 'A text, a pair `{text, text_pair}`, or a list of them' }),
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
    files: TextReader.files,
    request: requestSchema,
    response: responseSchema,
    example: { inputs: 'A quiet film that stays with you: wonderfully acted, and not a minute too long.' },

    async execute(body, model, run) {
      const { inputs, parameters = {} } = readTextBody(requestSchema, body, limits)
      const list = Array.isArray(inputs) ? inputs : [inputs]
      const field = fieldIn('inputs', Array.isArray(inputs))
      const { function_to_apply: activation, top_k: topK = Number.POSITIVE_INFINITY } = parameters
      const { scores } = await scoreTexts(list, { field, ...(activation && { activation }) }, { model, limits, run })
      const answers = scores.map((each): Classification => bestLabels(each, model.manifest, topK))
      return Array.isArray(inputs) ? answers : answers[0]
    },
  }
}

export interface ClassifyOptions extends Cutting {
  /** The request's field that an input stands in, for messages. */
  readonly field: (place: number) => string
  /** Left out: as set in the manifest. */
  readonly activation?: Activation
}

export interface TextScores {
  /** For each input, in the order of the model's labels. */
  readonly scores: readonly Float64Array[]
  /** Of all inputs together, special tokens included. */
  readonly tokens: number
}

/**
 * A model's scores for each label of each text or pair.
 * @throws input_too_large, empty_input, invalid_request, manifest_invalid
 */
export async function scoreTexts(
  inputs: readonly ClassifyInput[],
  options: ClassifyOptions,
  { model, limits, run }: ModelCall,
): Promise<TextScores> {
  const { field } = options
  if (inputs.length > limits.textsPerRequest) {
    throw new VergeError('input_too_large', `A request may have at most ${limits.textsPerRequest} texts.`, {
      details: { limit_texts: limits.textsPerRequest },
    })
  }
  const texts = inputs.flatMap((input, i) => textsOf(input, field(i)))
  checkTexts(
    texts.map(({ text }) => text),
    (i) => texts[i]?.field ?? 'inputs',
    limits,
  )
  const reader = await TextReader.open(model, limits)
  const { tokenizer } = reader
  const encoded = await reader.perform(
    texts.map(({ text }) => text),
    reader.maxTokens,
    encodings(inputs, options, reader),
  )
  const scores = new Array<Float64Array>(inputs.length)
  await runInBatches(encoded, tokenizer.padId, model, limits, run, (outputs, places) => {
    const rows = labelScores(outputs, options.activation, model.manifest)
    for (const [row, place] of places.entries()) scores[place] = rows[row] ?? new Float64Array(0)
  })
  return { scores, tokens: encoded.reduce((sum, { ids }) => sum + ids.length, 0) }
}

function textsOf(input: ClassifyInput, field: string): PairText[] {
  if (typeof input === 'string') return [{ text: input, field }]
  return [
    { text: input.text, field: `${field}.text` },
    { text: input.text_pair, field: `${field}.text_pair` },
  ]
}

function* encodings(inputs: readonly ClassifyInput[], options: ClassifyOptions, reader: TextReader): Work<Encoding[]> {
  const encoded: Encoding[] = []
  for (const [i, input] of inputs.entries()) {
    const field = options.field(i)
    const [first, second] = textsOf(input, field)
    if (first === undefined) continue
    if (second !== undefined && !reader.tokenizer.readsPairs) {
      throw new VergeError('invalid_request', `This model does not take pairs. Send "${field}" as a text.`, {
        details: { field },
      })
    }
    const encoding =
      second === undefined
        ? yield* reader.encode(first.text, field, options)
        : yield* reader.pair(reader.text(first, options.side), reader.text(second, options.side), field, options)
    const isEmpty = encoding.tokens.every((token) => token === undefined)
    // A model whose room is taken by special tokens answers for them alone.
    if (isEmpty && (yield* reader.read(first.text, 1, field)).length === 0) throw emptyText(field)
    encoded.push(encoding)
  }
  return encoded
}
