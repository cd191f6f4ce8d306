import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { validate } from '../../core/validation.ts'
import type { Work } from '../../core/work.ts'
import { jinaClassifyRequestSchema } from '../../protocols/jina/wire.ts'
import { activate } from '../../tasks/shared/scores.ts'
import { performed } from '../../tasks/task.ts'
import { assertCan } from '../../tasks/text/abilities.ts'
import { checkTexts } from '../../tasks/text/texts.ts'
import { promptFor } from '../../tasks/vectors/embedding-inputs.ts'
import { cosine } from '../../tasks/vectors/pooling.ts'
import { embedVectors } from '../../tasks/vectors/vectors.ts'
import type { TextCall } from '../text-call.ts'
import { usageOf } from './embeddings.ts'
import { textsOf } from './texts.ts'

/**
 * `POST /v1/classify` with labels: a text's label is the one whose vector is nearest to its own. Scores are the softmax of
 * the cosines, so that they are 1 together.
 */
export async function classify(call: TextCall, body: unknown): Promise<unknown> {
  assertCan(call.manifest, 'embed')
  const request = validate(jinaClassifyRequestSchema, body, 'The request')
  const texts = textsOf(request.input, 'input')
  const { labels } = request
  if (labels.length < 2) {
    throw new VergeError('invalid_request', '"labels" needs at least two labels.', { details: { field: 'labels' } })
  }
  assertAnswerFits(texts.length, labels, call.limits)
  const all = [...texts, ...labels]
  const field = (place: number): string =>
    place < texts.length ? `input[${place}]` : `labels[${place - texts.length}]`
  checkTexts(all, field, call.limits)
  call.accepted()
  const prompt = promptFor(call.manifest, 'classification')
  const options = { field, truncate: true, ...(prompt !== undefined && { prompt_name: prompt }) }
  const { dense = [], total } = await embedVectors(all, ['dense'], options, call)
  const comparing = predictions(dense.slice(0, texts.length), dense.slice(texts.length), labels)
  const data = await performed(call.model, comparing, texts.length * stepsOf(dense, labels))
  return { model: call.asked, usage: usageOf(total), data }
}

/** Of a cosine for each label: two lengths and a product. */
function stepsOf([first]: readonly Float32Array[], { length }: readonly string[]): number {
  return 3 * (first?.length ?? 0) * length
}

function* predictions(
  vectors: readonly Float32Array[],
  candidates: readonly Float32Array[],
  labels: readonly string[],
): Work<object[]> {
  const data: object[] = []
  for (const [index, vector] of vectors.entries()) {
    const cosines = Float64Array.from(candidates, (candidate) => cosine(vector, candidate))
    const scores = activate(cosines, 'softmax')
    const each = labels.map((label, i) => ({ label, score: scores[i] ?? 0 }))
    const best = each.reduce((a, b) => (b.score > a.score ? b : a), { label: '', score: -1 })
    data.push({ object: 'classification', index, prediction: best.label, score: best.score, predictions: each })
    yield stepsOf(vectors, labels)
  }
  return data
}

/** Each text's answer has all labels, and the best of them twice. @throws input_too_large */
function assertAnswerFits(texts: number, labels: readonly string[], { tableCells, textBodyBytes }: Limits): void {
  const scores = texts * labels.length
  if (scores > tableCells) {
    throw new VergeError(
      'input_too_large',
      `The answer would have ${scores} scores, and may have ${tableCells}. Send fewer texts or fewer labels.`,
      { details: { field: 'labels', limit_scores: tableCells } },
    )
  }
  const longest = labels.reduce((most, { length }) => Math.max(most, length), 0)
  const written = texts * labels.reduce((sum, { length }) => sum + length, longest)
  if (written <= textBodyBytes) return
  throw new VergeError(
    'input_too_large',
    'The answer would repeat the labels too often. Send fewer texts, or fewer or shorter labels.',
    { details: { field: 'labels', limit_characters: textBodyBytes } },
  )
}
