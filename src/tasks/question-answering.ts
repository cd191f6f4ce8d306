import * as z from 'zod'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { refuseManyItems, validate } from '../core/validation.ts'
import type { Work } from '../core/work.ts'
import { codePointPositions } from '../media/text/positions.ts'
import type { Encoding, TextToken } from '../media/text/tokenizer.ts'
import type { BoundTask } from './task.ts'
import { bestSpans, type Spans } from './text/answer-spans.ts'
import { runInBatches, TokenCount } from './text/batches.ts'
import { spanLogits } from './text/logits.ts'
import { TextReader } from './text/reading.ts'
import { checkTexts, emptyText } from './text/texts.ts'
import { windowsOf } from './text/windows.ts'

/** As transformers' pipeline has them. */
const DEFAULTS = { windowTokens: 384, overlap: 128, questionTokens: 64, answerTokens: 15 }

const parametersSchema = z.strictObject({
  top_k: z
    .number()
    .int()
    .min(1)
    .max(100)
    .optional()
    .meta({ description: 'How many answers, best first; by default 1' }),
  doc_stride: z
    .number()
    .int()
    .nonnegative()
    .optional()
    .meta({ description: 'Tokens that windows of a long context share; by default 128' }),
  max_answer_len: z.number().int().min(1).max(512).optional().meta({ description: 'In tokens; by default 15' }),
  max_seq_len: z.number().int().min(1).optional().meta({ description: 'Tokens of a window; by default 384' }),
  max_question_len: z.number().int().min(1).optional().meta({ description: 'In tokens; by default 64' }),
  handle_impossible_answer: z
    .boolean()
    .optional()
    .meta({ description: 'Whether "" may be the answer, for models trained for it' }),
  align_to_words: z.boolean().optional().meta({ description: 'Whether answers are whole words; by default true' }),
  offsets: z
    .enum(['code_points', 'utf16'])
    .optional()
    .meta({ description: 'What `start` and `end` count: characters as Python (default), or units as JavaScript' }),
})
type Parameters = z.infer<typeof parametersSchema>

const questionSchema = z.strictObject({ question: z.string(), context: z.string() })
type Question = z.infer<typeof questionSchema>

const requestSchema = z
  .strictObject({
    inputs: z
      .union([questionSchema, z.array(questionSchema).min(1)])
      .meta({ description: 'A question and the text that contains its answer, or a list of such pairs' }),
    parameters: parametersSchema.optional(),
  })
  .meta({ id: 'QuestionAnsweringRequest' })

const answerSchema = z
  .object({ score: z.number(), start: z.number().int(), end: z.number().int(), answer: z.string() })
  .meta({ id: 'Answer' })
type Answer = z.infer<typeof answerSchema>
const answersSchema = z.union([answerSchema, z.array(answerSchema)])

/** One question's windows over its context. */
interface Prepared {
  readonly context: string
  readonly tokens: readonly TextToken[]
  readonly windows: readonly Encoding[]
}

/** The part of a text that answers a question. */
export function questionAnswering(limits: Limits): BoundTask {
  return {
    name: 'question-answering',
    mediaTypes: [],
    files: TextReader.files,
    request: requestSchema,
    response: z.union([answersSchema, z.array(answersSchema)]),
    example: {
      inputs: { question: 'Who wrote the first program?', context: 'Ada Lovelace wrote the first program in 1843.' },
    },

    async execute(body, model, run) {
      if (body.kind !== 'json') {
        throw new VergeError(
          'unsupported_media_type',
          'This model takes a question. Send application/json with "inputs".',
        )
      }
      refuseManyItems(body.value, limits.requestItems)
      const { inputs, parameters = {} } = validate(requestSchema, body.value, 'The request')
      const questions = Array.isArray(inputs) ? inputs : [inputs]
      const nameOf = (i: number, part: keyof Question): string =>
        Array.isArray(inputs) ? `inputs[${i}].${part}` : `inputs.${part}`
      for (const part of ['question', 'context'] as const) {
        checkTexts(
          questions.map((question) => question[part]),
          (i) => nameOf(i, part),
          limits,
        )
      }
      const reader = await TextReader.open(model, limits)
      const { tokenizer } = reader
      const prepared = await reader.perform(
        questions.flatMap(({ question, context }) => [question, context]),
        limits.embeddingTokens + 1,
        preparedQuestions(questions, parameters, reader, limits, nameOf),
      )

      const windows = prepared.flatMap((one) => one.windows)
      const topK = parameters.top_k ?? 1
      const found: Spans[] = []
      await runInBatches(windows, tokenizer.padId, model, limits, run, (outputs, places) => {
        const length = places.reduce((longest, at) => Math.max(longest, windows[at]?.ids.length ?? 0), 0)
        const { starts, ends } = spanLogits(outputs, places.length, length, model.manifest)
        for (const [row, at] of places.entries()) {
          const [from, to] = [row * length, (row + 1) * length]
          found[at] = bestSpans(starts.subarray(from, to), ends.subarray(from, to), {
            allowed: (windows[at]?.texts ?? []).map((text) => text === 1),
            maxLength: parameters.max_answer_len ?? DEFAULTS.answerTokens,
            // Some fall together when they are widened to whole words.
            count: parameters.align_to_words === false ? topK : 2 * topK + 10,
          })
        }
      })

      let next = 0
      const answers = prepared.map((one) => {
        const own = found.slice(next, next + one.windows.length)
        next += one.windows.length
        return answersOf(one, own, parameters)
      })
      return Array.isArray(inputs) ? answers : answers[0]
    },
  }
}

function* preparedQuestions(
  questions: readonly Question[],
  parameters: Parameters,
  reader: TextReader,
  limits: Limits,
  nameOf: (i: number, part: keyof Question) => string,
): Work<Prepared[]> {
  const count = new TokenCount(limits)
  const prepared: Prepared[] = []
  for (const [i, question] of questions.entries()) {
    prepared.push(yield* prepare(question, parameters, reader, limits, count, (part) => nameOf(i, part)))
  }
  return prepared
}

function* prepare(
  { question, context }: Question,
  parameters: Parameters,
  reader: TextReader,
  limits: Limits,
  count: TokenCount,
  nameOf: (part: keyof Question) => string,
): Work<Prepared> {
  const { tokenizer } = reader
  const length = Math.min(reader.maxTokens, parameters.max_seq_len ?? DEFAULTS.windowTokens)
  const mostAsked = parameters.max_question_len ?? DEFAULTS.questionTokens
  // As transformers has it: a question that is too long loses its end.
  const asked = yield* reader.read(question, mostAsked, nameOf('question'), 'right')
  if (asked.length === 0) throw emptyText(nameOf('question'))
  const room = length - tokenizer.specialTokens(true) - asked.length
  if (room < 1) {
    throw new VergeError(
      'invalid_request',
      `"${nameOf('question')}" leaves no room for the context in ${length} tokens. Send a shorter question, or a smaller "max_question_len".`,
      { details: { field: nameOf('question'), tokens: asked.length } },
    )
  }
  const overlap = Math.min(parameters.doc_stride ?? DEFAULTS.overlap, Math.floor(length / 2), room - 1)
  const tokens = yield* reader.read(context, limits.embeddingTokens + 1, nameOf('context'), 'right')
  if (tokens.length === 0) throw emptyText(nameOf('context'))
  const windows = Array.from(windowsOf(tokens, room, overlap), (window) => {
    count.add(length - room + window.length)
    return tokenizer.frame(asked, window)
  })
  return { context, tokens, windows }
}

function answersOf(
  { context, tokens, windows }: Prepared,
  found: readonly Spans[],
  { top_k: topK = 1, align_to_words: aligned = true, handle_impossible_answer: maybeNone, offsets }: Parameters,
): Answer | Answer[] {
  const widen = aligned ? wordsOf(tokens) : ({ start, end }: TextToken): TextSpan => ({ start, end })
  const at = offsets === 'utf16' ? (position: number) => position : codePointPositions(context)
  const best = new Map<string, Answer>()
  for (const [i, { spans }] of found.entries()) {
    for (const { first, last, score } of spans) {
      const [from, to] = [windows[i]?.tokens[first], windows[i]?.tokens[last]]
      if (from === undefined || to === undefined) continue
      const { start } = widen(from)
      const { end } = widen(to)
      const key = `${start}:${end}`
      // Windows overlap: what two of them found is as likely as the surer one says.
      if (score > (best.get(key)?.score ?? -1)) {
        best.set(key, { score, start: at(start), end: at(end), answer: context.slice(start, end) })
      }
    }
  }
  const answers = [...best.values()]
  if (maybeNone) {
    const none = found.reduce((least, spans) => Math.min(least, spans.none), 1)
    answers.push({ score: none, start: 0, end: 0, answer: '' })
  }
  const sorted = answers.sort((a, b) => b.score - a.score).slice(0, topK)
  const [only, ...more] = sorted
  return only !== undefined && more.length === 0 ? only : sorted
}

interface TextSpan {
  readonly start: number
  readonly end: number
}

/** From a token to the place of its whole word. */
function wordsOf(tokens: readonly TextToken[]): (token: TextToken) => TextSpan {
  const places = new Map<number, TextSpan>()
  for (const { word, start, end } of tokens) {
    const known = places.get(word)
    places.set(word, { start: Math.min(known?.start ?? start, start), end: Math.max(known?.end ?? end, end) })
  }
  return ({ word, start, end }) => places.get(word) ?? { start, end }
}
