import * as z from 'zod'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Work } from '../core/work.ts'
import { codePointPositions } from '../media/text/positions.ts'
import type { Encoding, TextTokenizer } from '../media/text/tokenizer.ts'
import type { BoundTask } from './task.ts'
import { runInBatches, TokenCount } from './text/batches.ts'
import {
  AGGREGATION,
  entitiesOf,
  type Grouped,
  probabilities,
  type ScoredToken,
  withoutOverlaps,
} from './text/entities.ts'
import { tokenLogits } from './text/logits.ts'
import { TextReader } from './text/reading.ts'
import { checkTexts, emptyText, fieldIn, readTextBody } from './text/texts.ts'
import { windowsOf } from './text/windows.ts'

const parametersSchema = z.strictObject({
  aggregation_strategy: z
    .enum(AGGREGATION)
    .optional()
    .meta({ description: 'How tokens become entities; by default `simple`, and `none` answers single tokens' }),
  ignore_labels: z.array(z.string()).max(1_000).optional().meta({ description: 'Labels to leave out; by default `O`' }),
  stride: z
    .number()
    .int()
    .nonnegative()
    .optional()
    .meta({ description: 'Tokens that windows of a long text share; without it long texts are truncated' }),
  offsets: z
    .enum(['code_points', 'utf16'])
    .optional()
    .meta({ description: 'What `start` and `end` count: characters as Python (default), or units as JavaScript' }),
})
type Parameters = z.infer<typeof parametersSchema>

const requestSchema = z
  .strictObject({
    inputs: z.union([z.string(), z.array(z.string()).min(1)]).meta({ description: 'A text, or a list of texts' }),
    parameters: parametersSchema.optional(),
  })
  .meta({ id: 'TokenClassificationRequest' })

const place = { score: z.number(), word: z.string(), start: z.number().int(), end: z.number().int() }
const entitySchema = z.union([
  z.object({ entity_group: z.string(), ...place }),
  z.object({ entity: z.string(), index: z.number().int(), ...place }),
])
const entitiesSchema = z.array(entitySchema).meta({ id: 'Entities' })
type Entity = z.infer<typeof entitySchema>

/** Part of a text that the model reads at once. */
interface Window {
  readonly text: number
  readonly encoding: Encoding
}

/** Names, places and other parts of a text, each with a label. */
export function tokenClassification(limits: Limits): BoundTask {
  return {
    name: 'token-classification',
    mediaTypes: ['text/plain'],
    files: TextReader.files,
    request: requestSchema,
    response: z.union([entitiesSchema, z.array(entitiesSchema)]),
    example: { inputs: 'Ada Lovelace wrote to Charles Babbage in London.' },

    async execute(body, model, run) {
      const { inputs, parameters = {} } = readTextBody(requestSchema, body, limits)
      const texts = typeof inputs === 'string' ? [inputs] : inputs
      const field = fieldIn('inputs', texts === inputs)
      checkTexts(texts, field, limits)
      const { manifest } = model
      const reader = await TextReader.open(model, limits)
      const { tokenizer } = reader
      const room = Math.max(1, reader.maxTokens - tokenizer.specialTokens(false))
      checkStride(parameters, room)
      const wanted = parameters.stride === undefined ? room : limits.embeddingTokens + 1
      const windows = await reader.perform(
        texts,
        wanted,
        windowsIn(texts, reader, { room, wanted, stride: parameters.stride ?? 0 }, field, limits),
      )

      const found = texts.map((): Grouped[] => [])
      const strategy = parameters.aggregation_strategy ?? 'simple'
      const nameOf = (label: number): string => manifest.labels?.[label] ?? `LABEL_${label}`
      const join = (words: readonly string[]): string => tokenizer.join(words)
      const encodings = windows.map(({ encoding }) => encoding)
      const perWindow: Grouped[][] = []
      await runInBatches(encodings, tokenizer.padId, model, limits, run, (outputs, places) => {
        const length = places.reduce((longest, at) => Math.max(longest, encodings[at]?.ids.length ?? 0), 0)
        const logits = tokenLogits(outputs, places.length, length, manifest)
        for (const [row, at] of places.entries()) {
          const window = windows[at]
          if (window === undefined) continue
          const text = texts[window.text] ?? ''
          const scored = scoredTokens(window.encoding, text, tokenizer, (token) =>
            logits.values.subarray((row * length + token) * logits.width, (row * length + token + 1) * logits.width),
          )
          perWindow[at] = entitiesOf(scored, strategy, nameOf, join)
        }
      })
      for (const [at, { text }] of windows.entries()) found[text]?.push(...(perWindow[at] ?? []))

      const ignored = new Set(parameters.ignore_labels ?? ['O'])
      const answers = found.map((entities, i) => {
        const wanted = entities.filter(({ label }) => !ignored.has(label))
        const several = windows.filter(({ text }) => text === i).length > 1
        return inform(several ? withoutOverlaps(wanted) : wanted, texts[i] ?? '', parameters)
      })
      return typeof inputs === 'string' ? answers[0] : answers
    },
  }
}

function checkStride({ stride, aggregation_strategy: strategy }: Parameters, room: number): void {
  if (stride !== undefined && (stride >= room || strategy === 'none')) {
    throw new VergeError(
      'invalid_request',
      strategy === 'none'
        ? '"parameters.stride" needs an "aggregation_strategy" other than "none".'
        : `"parameters.stride" must be less than ${room}, the tokens of a window.`,
      { details: { field: 'parameters.stride' } },
    )
  }
}

/** Tokens of a window, tokens that are wanted of a text, and tokens that two windows share. */
interface Windowing {
  readonly room: number
  readonly wanted: number
  readonly stride: number
}

function* windowsIn(
  texts: readonly string[],
  reader: TextReader,
  { room, wanted, stride }: Windowing,
  field: (place: number) => string,
  limits: Limits,
): Work<Window[]> {
  const count = new TokenCount(limits)
  const windows: Window[] = []
  for (const [i, text] of texts.entries()) {
    // Windows hold all of a text, whichever end would be cut.
    const tokens = yield* reader.read(text, wanted, field(i), wanted > room ? 'right' : reader.side)
    if (tokens.length === 0) throw emptyText(field(i))
    for (const window of windowsOf(tokens, room, stride)) {
      const encoding = reader.tokenizer.frame(window)
      count.add(encoding.ids.length)
      windows.push({ text: i, encoding })
    }
  }
  return windows
}

function scoredTokens(
  { tokens }: Encoding,
  text: string,
  tokenizer: TextTokenizer,
  logitsOf: (token: number) => Float32Array,
): ScoredToken[] {
  return tokens.flatMap((token, index) => {
    if (token === undefined) return []
    const { id, start, end } = token
    const unknown = id === tokenizer.unknownId
    const insideWord =
      tokenizer.continuingPrefix === '' ? followsOn(text, start) : tokens[index - 1]?.word === token.word
    return {
      word: unknown ? text.slice(start, end) : tokenizer.tokenText(id),
      scores: probabilities(logitsOf(index)),
      index,
      start,
      end,
      insideWord: !unknown && insideWord,
    }
  })
}

/** Whether there is no space at a place or before it: all that tells words apart where tokens do not. */
function followsOn(text: string, start: number): boolean {
  return start > 0 && !text.slice(start - 1, start + 1).includes(' ')
}

function inform(entities: readonly Grouped[], text: string, { aggregation_strategy, offsets }: Parameters): Entity[] {
  const at = offsets === 'utf16' ? (position: number) => position : codePointPositions(text)
  return entities.map(({ label, score, word, start, end, index = 0 }) => {
    const rest = { score, word, start: at(start), end: at(end) }
    return aggregation_strategy === 'none' ? { entity: label, index, ...rest } : { entity_group: label, ...rest }
  })
}
