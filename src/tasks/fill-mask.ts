import * as z from 'zod'
import type { Manifest } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { TensorSpec, Tensors } from '../core/tensors.ts'
import { finish, type Work } from '../core/work.ts'
import type { TextTokenizer } from '../media/text/tokenizer.ts'
import { likeliest, STEPS_PER_SCORE } from './shared/best-scores.ts'
import { wrongOutput } from './shared/outputs.ts'
import { type BoundTask, performed } from './task.ts'
import { runInBatches, TokenCount } from './text/batches.ts'
import { type Logits, tokenLogits } from './text/logits.ts'
import { TextReader } from './text/reading.ts'
import { checkTexts, emptyText, fieldIn, readTextBody } from './text/texts.ts'

/** Words proposed where the request does not say, as Hugging Face's pipeline has it. */
const DEFAULT_TOP_K = 5

const requestSchema = z
  .strictObject({
    inputs: z
      .union([z.string(), z.array(z.string()).min(1)])
      .meta({ description: 'A text, or a list of texts, with the mask token of the model in place of words' }),
    parameters: z
      .strictObject({
        top_k: z.number().int().positive().max(1_000).optional().meta({ description: 'How many words, best first' }),
        targets: z
          .union([z.string(), z.array(z.string()).min(1).max(1_000)])
          .optional()
          .meta({ description: 'Propose only these words; of a word that is no token, its first token' }),
      })
      .optional(),
  })
  .meta({ id: 'FillMaskRequest' })

const proposalSchema = z.object({
  score: z.number(),
  token: z.number().int(),
  token_str: z.string(),
  sequence: z.string(),
})
const proposalsSchema = z.array(proposalSchema).meta({ id: 'FillMask' })
type Proposals = z.infer<typeof proposalsSchema>

/** Of a text with one mask its words; of one with several a list for each mask. */
const answerSchema = z.union([proposalsSchema, z.array(proposalsSchema)])

/** A text as the model reads it, and the places of its masks. */
interface MaskedText {
  readonly ids: readonly number[]
  readonly typeIds: readonly number[]
  readonly masks: readonly number[]
}

/** Words for the places of a text that have a mask token. */
export function fillMask(limits: Limits): BoundTask {
  return {
    name: 'fill-mask',
    mediaTypes: ['text/plain'],
    files: TextReader.files,
    request: requestSchema,
    response: z.union([answerSchema, z.array(answerSchema)]),
    example: exampleWith('[MASK]'),
    forModel: ({ text }) => ({ request: requestSchema, example: exampleWith(text?.maskToken ?? '[MASK]') }),

    async execute(body, model, run) {
      const { inputs, parameters = {} } = readTextBody(requestSchema, body, limits)
      const texts = typeof inputs === 'string' ? [inputs] : inputs
      const wanted = parameters.targets === undefined ? [] : [parameters.targets].flat()
      const field = fieldIn('inputs', texts === inputs)
      checkTexts(texts, field, limits)
      checkTexts(wanted, fieldIn('parameters.targets', true), limits)
      const { manifest } = model
      const output = outputOf(manifest)
      const reader = await TextReader.open(model, limits)
      const { tokenizer } = reader
      const topK = parameters.top_k ?? DEFAULT_TOP_K
      const { masked, targets } = await reader.perform(
        [...texts, ...wanted],
        reader.maxTokens,
        reading(texts, wanted, reader, { field, output, manifest, limits }),
      )
      checkAnswer(masked, Math.min(topK, targets?.length ?? output.vocabulary), limits)

      const answers: Proposals[][] = []
      // As many texts at once as one text of the greatest length may have scores.
      const bounded = { ...limits, tokensPerRun: Math.min(limits.tokensPerRun, tokensFor(output, limits)) }
      await runInBatches(masked, tokenizer.padId, model, bounded, run, async (outputs, places) => {
        const length = places.reduce((longest, at) => Math.max(longest, masked[at]?.ids.length ?? 0), 0)
        const logits = tokenLogits(only(outputs, output.name), places.length, length, manifest)
        const batch = places.flatMap((at) => masked[at] ?? [])
        const work = filling(batch, logits, { tokenizer, topK, targets })
        // What takes less than a turn of the loop is worth no place in the lane.
        const steps = stepsOf(batch, logits.width, topK)
        const filled = steps < limits.stepsBetweenPauses ? finish(work) : await performed(model, work, steps)
        for (const [row, at] of places.entries()) answers[at] = filled[row] ?? []
      })
      const shaped = answers.map((lists) => (lists.length === 1 ? lists[0] : lists))
      return typeof inputs === 'string' ? shaped[0] : shaped
    },
  }
}

function exampleWith(mask: string) {
  return { inputs: `The capital of France is ${mask}.` }
}

interface ScoresOutput {
  readonly name: string
  /** Scores for each token of a text. */
  readonly vocabulary: number
}

/** The output with a score for each token and word: `logits`, or the only one of that form. */
function outputOf(manifest: Manifest): ScoresOutput {
  const fits = ({ shape }: TensorSpec): boolean => shape.length === 3
  const spec = manifest.outputs.find((each) => each.name === 'logits' && fits(each)) ?? manifest.outputs.find(fits)
  const vocabulary = spec?.shape[2]
  if (spec !== undefined && typeof vocabulary === 'number' && vocabulary > 0) return { name: spec.name, vocabulary }
  throw wrongOutput(manifest, 'no output [batch, tokens, vocabulary] with a vocabulary of known size')
}

function only(outputs: Tensors, name: string): Tensors {
  const output = outputs.get(name)
  return new Map(output === undefined ? [] : [[name, output]])
}

/** Tokens of a run whose scores the limit allows. */
function tokensFor({ vocabulary }: ScoresOutput, { vocabularyScores }: Limits): number {
  return Math.floor(vocabularyScores / vocabulary)
}

interface Reading {
  readonly field: (place: number) => string
  readonly output: ScoresOutput
  readonly manifest: Manifest
  readonly limits: Limits
}

/** @throws invalid_request for a text without a mask, empty_input, input_too_large */
function* reading(
  texts: readonly string[],
  wanted: readonly string[],
  reader: TextReader,
  { field, output, manifest, limits }: Reading,
): Work<{ readonly masked: readonly MaskedText[]; readonly targets: readonly number[] | undefined }> {
  const { maskToken, maskId } = maskOf(manifest, reader.tokenizer)
  const most = tokensFor(output, limits)
  const count = new TokenCount(limits)
  const masked: MaskedText[] = []
  for (const [i, text] of texts.entries()) {
    const { ids, tokens, typeIds } = yield* reader.encode(text, field(i))
    if (tokens.every((token) => token === undefined)) throw emptyText(field(i))
    if (ids.length > most) throw tooLong(field(i), most)
    count.add(ids.length)
    const masks = ids.flatMap((id, place) => (id === maskId ? [place] : []))
    if (masks.length === 0) throw withoutMask(field(i), maskToken, reader.maxTokens)
    masked.push({ ids, typeIds, masks })
  }
  return { masked, targets: yield* targetIds(wanted, reader, output) }
}

/** Tokens to choose from, in the order of the request; undefined where it names none. */
function* targetIds(
  wanted: readonly string[],
  reader: TextReader,
  { vocabulary }: ScoresOutput,
): Work<readonly number[] | undefined> {
  if (wanted.length === 0) return undefined
  const found = new Set<number>()
  for (const [i, target] of wanted.entries()) {
    const whole = reader.tokenizer.idOf(target)
    const [first] = whole === undefined ? yield* reader.read(target, 1, `parameters.targets[${i}]`, 'right') : []
    const id = whole ?? first?.id
    // A tokenizer may have more tokens than the model has scores.
    if (id !== undefined && id < vocabulary) found.add(id)
  }
  if (found.size > 0) return [...found]
  throw new VergeError('invalid_request', '"parameters.targets" contains no words that the model knows.', {
    details: { field: 'parameters.targets' },
  })
}

/** @throws manifest_invalid */
function maskOf({ model, text, version }: Manifest, tokenizer: TextTokenizer) {
  const maskToken = text?.maskToken
  const maskId = maskToken === undefined ? undefined : tokenizer.idOf(maskToken)
  if (maskToken !== undefined && maskId !== undefined) return { maskToken, maskId }
  throw new VergeError(
    'manifest_invalid',
    `Model "${model}" version "${version}" has no mask token in its vocabulary. Set "preprocess.text.maskToken" in its verge.json and push it again.`,
  )
}

/** Each of the words that are proposed is answered in a text of its own. @throws input_too_large */
function checkAnswer(masked: readonly MaskedText[], proposals: number, { filledTokens }: Limits): void {
  const tokens = masked.reduce((sum, { ids, masks }) => sum + ids.length * masks.length * proposals, 0)
  if (tokens <= filledTokens) return
  throw new VergeError(
    'input_too_large',
    `The answer would have ${tokens} tokens in all its texts; the limit is ${filledTokens}. Send fewer masks, shorter texts, or a smaller "top_k".`,
    { details: { limit_tokens: filledTokens } },
  )
}

interface Filling {
  readonly tokenizer: TextTokenizer
  readonly topK: number
  readonly targets: readonly number[] | undefined
}

/** Steps that writing a token as text takes. */
const STEPS_PER_TOKEN = 1_000

function stepsOf(texts: readonly MaskedText[], width: number, topK: number): number {
  return texts.reduce(
    (sum, { ids, masks }) => sum + masks.length * (width * STEPS_PER_SCORE + ids.length * topK * STEPS_PER_TOKEN),
    0,
  )
}

/** The words for each mask of each text. Softmax is taken at the masks alone. */
function* filling(
  texts: readonly MaskedText[],
  { length, values, width }: Logits,
  { targets, tokenizer, topK }: Filling,
): Work<readonly Proposals[][]> {
  const all: Proposals[][] = []
  for (const [row, { ids, masks }] of texts.entries()) {
    const own: Proposals[] = []
    for (const mask of masks) {
      const first = (row * length + mask) * width
      const best = yield* likeliest(values.subarray(first, first + width), topK, targets)
      const proposals: Proposals = []
      for (const { index: token, score } of best) {
        proposals.push({
          score,
          token,
          token_str: textOf([token], tokenizer, false),
          // Of several masks the others stay to be seen, and with them all special tokens, as in transformers.
          sequence: textOf(ids.with(mask, token), tokenizer, masks.length === 1),
        })
        yield ids.length * STEPS_PER_TOKEN
      }
      own.push(proposals)
    }
    all.push(own)
  }
  return all
}

function textOf(ids: readonly number[], tokenizer: TextTokenizer, withoutSpecial: boolean): string {
  const own = withoutSpecial ? ids.filter((id) => !tokenizer.special.has(id)) : ids
  return tokenizer.join(own.map((id) => tokenizer.tokenText(id)))
}

function withoutMask(field: string, maskToken: string, maxTokens: number): VergeError {
  return new VergeError(
    'invalid_request',
    `"${field}" has no ${maskToken} among the first ${maxTokens} tokens, which the model reads. Put ${maskToken} in place of a word.`,
    { details: { field, mask_token: maskToken } },
  )
}

function tooLong(field: string, most: number): VergeError {
  return new VergeError(
    'input_too_large',
    `"${field}" has more than ${most} tokens. That is the limit here, because the model gives a score for each token and each word of its vocabulary. Send a shorter text.`,
    { details: { field, limit_tokens: most } },
  )
}
