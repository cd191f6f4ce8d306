import * as z from 'zod'
import type { Manifest } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { refuseManyItems, validate } from '../core/validation.ts'
import type { Work } from '../core/work.ts'
import type { Encoding, TextToken } from '../media/text/tokenizer.ts'
import { candidateLabelsSchema, hypothesesOf, labelsOf, templateSchema, tooManyLabels } from './shared/labels.ts'
import { activate } from './shared/scores.ts'
import type { BoundTask } from './task.ts'
import { runInBatches, TokenCount } from './text/batches.ts'
import { textLogits } from './text/logits.ts'
import { TextReader } from './text/reading.ts'
import { checkTexts, emptyText, fieldIn } from './text/texts.ts'

/** What a label is put into where a request gives no hypothesis. */
export const DEFAULT_TEMPLATE = 'This example is {}.'

const requestSchema = z
  .strictObject({
    inputs: z.union([z.string(), z.array(z.string()).min(1)]).meta({ description: 'A text, or a list of texts' }),
    parameters: z.strictObject({
      candidate_labels: candidateLabelsSchema,
      hypothesis_template: templateSchema(DEFAULT_TEMPLATE),
      multi_label: z
        .boolean()
        .optional()
        .meta({ description: 'Whether several labels may apply: each then gets its own probability' }),
    }),
  })
  .meta({ id: 'ZeroShotClassificationRequest' })

const answerSchema = z
  .object({ sequence: z.string(), labels: z.array(z.string()), scores: z.array(z.number()) })
  .meta({ id: 'ZeroShotClassification', description: 'Labels with their scores, best first' })
type Answer = z.infer<typeof answerSchema>

/** Labels that the model was never trained for: each is a sentence that the text does or does not imply. */
export function zeroShotClassification(limits: Limits): BoundTask {
  return {
    name: 'zero-shot-classification',
    mediaTypes: [],
    files: TextReader.files,
    request: requestSchema,
    response: z.union([answerSchema, z.array(answerSchema)]),
    example: {
      inputs: 'The parcel came two weeks late and the box was crushed.',
      parameters: { candidate_labels: ['delivery', 'price', 'quality'] },
    },

    async execute(body, model, run) {
      if (body.kind !== 'json') {
        throw new VergeError(
          'unsupported_media_type',
          'This model takes a text and labels. Send application/json with "inputs" and "parameters".',
        )
      }
      refuseManyItems(body.value, limits.requestItems)
      const { inputs, parameters } = validate(requestSchema, body.value, 'The request')
      const texts = typeof inputs === 'string' ? [inputs] : inputs
      const labels = labelsOf(parameters.candidate_labels, limits)
      const hypotheses = hypothesesOf(labels, parameters.hypothesis_template ?? DEFAULT_TEMPLATE)
      const textField = fieldIn('inputs', texts === inputs)
      const labelField = fieldIn('parameters.candidate_labels', true)
      checkTexts(texts, textField, limits)
      checkTexts(hypotheses, labelField, limits)
      if (texts.length * labels.length > limits.embeddingsPerRequest) throw tooManyLabels(limits.embeddingsPerRequest)

      const { manifest } = model
      const columns = columnsOf(manifest)
      const reader = await TextReader.open(model, limits)
      const { tokenizer } = reader
      const pairs = await reader.perform(
        [...texts, ...hypotheses],
        reader.maxTokens,
        pairsOf(texts, hypotheses, reader, limits, textField, labelField),
      )
      const verdicts: Verdict[] = []
      await runInBatches(pairs, tokenizer.padId, model, limits, run, (outputs, places) => {
        const { values, width } = textLogits(outputs, places.length, manifest)
        for (const [row, at] of places.entries()) {
          verdicts[at] = {
            entailment: values[row * width + columns.entailment] ?? 0,
            contradiction: values[row * width + columns.contradiction] ?? 0,
          }
        }
      })
      const answers = texts.map((sequence, i): Answer => {
        const own = verdicts.slice(i * labels.length, (i + 1) * labels.length)
        const scores = parameters.multi_label || labels.length === 1 ? each(own) : together(own)
        const sorted = labels.map((label, j) => ({ label, score: scores[j] ?? 0 })).sort((a, b) => b.score - a.score)
        return { sequence, labels: sorted.map(({ label }) => label), scores: sorted.map(({ score }) => score) }
      })
      return typeof inputs === 'string' ? answers[0] : answers
    },
  }
}

/** Each text with each sentence about it. Only the text is cut, and something of it has to be left. */
function* pairsOf(
  texts: readonly string[],
  hypotheses: readonly string[],
  reader: TextReader,
  limits: Limits,
  textField: (i: number) => string,
  labelField: (i: number) => string,
): Work<Encoding[]> {
  const { maxTokens, side, tokenizer } = reader
  const count = new TokenCount(limits)
  const room = maxTokens - tokenizer.specialTokens(true)
  const claims: TextToken[][] = []
  for (const [i, hypothesis] of hypotheses.entries()) {
    const claim = yield* reader.read(hypothesis, maxTokens, labelField(i))
    if (claim.length >= room) throw tooLong(labelField(i), maxTokens)
    claims.push(claim)
  }
  const pairs: Encoding[] = []
  for (const [i, text] of texts.entries()) {
    const tokens = yield* reader.read(text, maxTokens, textField(i))
    if (tokens.length === 0) throw emptyText(textField(i))
    for (const claim of claims) {
      const keep = Math.min(tokens.length, room - claim.length)
      const own = side === 'right' ? tokens.slice(0, keep) : tokens.slice(tokens.length - keep)
      const pair = tokenizer.frame(own, claim)
      count.add(pair.ids.length)
      pairs.push(pair)
    }
  }
  return pairs
}

/** A model's scores for a sentence to follow from a text, and to contradict it. */
interface Verdict {
  readonly entailment: number
  readonly contradiction: number
}

function each(verdicts: readonly Verdict[]): number[] {
  return verdicts.map(
    ({ entailment, contradiction }) => activate(Float64Array.of(contradiction, entailment), 'softmax')[1] ?? 0,
  )
}

function together(verdicts: readonly Verdict[]): number[] {
  return Array.from(
    activate(
      Float64Array.from(verdicts, ({ entailment }) => entailment),
      'softmax',
    ),
  )
}

/**
 * Where a model for natural language inference scores what it finds, by the names of its labels.
 * @throws manifest_invalid if none is for what follows from a text
 */
function columnsOf({ model, version, labels = [] }: Manifest): { entailment: number; contradiction: number } {
  const find = (start: string): number => labels.findIndex((label) => label.toLowerCase().startsWith(start))
  const entailment = find('entail')
  if (entailment === -1 || labels.length < 2) {
    throw new VergeError(
      'manifest_invalid',
      `Model "${model}" version "${version}" has no label "entailment". Correct its labels and push it again.`,
    )
  }
  const named = find('contra')
  // transformers takes the other end of the list where no label says so.
  return { entailment, contradiction: named !== -1 ? named : entailment === 0 ? labels.length - 1 : 0 }
}

function tooLong(field: string, most: number): VergeError {
  return new VergeError(
    'input_too_large',
    `"${field}" in its sentence leaves no room for the text in the ${most} tokens of this model. Send a shorter label, or a shorter "hypothesis_template".`,
    { details: { field, limit_tokens: most } },
  )
}
