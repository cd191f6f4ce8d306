import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { validate } from '../../core/validation.ts'
import { jinaClassifyRequestSchema } from '../../protocols/jina/wire.ts'
import { assertCan } from '../../tasks/abilities.ts'
import { promptFor } from '../../tasks/embedding-inputs.ts'
import { cosine } from '../../tasks/pooling.ts'
import { activate } from '../../tasks/scores.ts'
import { checkTexts } from '../../tasks/texts.ts'
import { embedVectors } from '../../tasks/vectors.ts'
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
  assertFewScores(texts.length * labels.length, call.limits)
  const all = [...texts, ...labels]
  const field = (place: number): string =>
    place < texts.length ? `input[${place}]` : `labels[${place - texts.length}]`
  checkTexts(all, field, call.limits)
  call.accepted()
  const prompt = promptFor(call.manifest, 'classification')
  const options = { field, truncate: true, ...(prompt !== undefined && { prompt_name: prompt }) }
  const { dense = [], total } = await embedVectors(all, ['dense'], options, call)
  const candidates = dense.slice(texts.length)
  const data = dense.slice(0, texts.length).map((vector, index) => {
    const cosines = Float64Array.from(candidates, (candidate) => cosine(vector, candidate))
    const scores = activate(cosines, 'softmax')
    const predictions = labels.map((label, i) => ({ label, score: scores[i] ?? 0 }))
    const best = predictions.reduce((a, b) => (b.score > a.score ? b : a), { label: '', score: -1 })
    return { object: 'classification', index, prediction: best.label, score: best.score, predictions }
  })
  return { model: call.asked, usage: usageOf(total), data }
}

/** @throws input_too_large */
function assertFewScores(scores: number, { tableCells }: Limits): void {
  if (scores <= tableCells) return
  throw new VergeError(
    'input_too_large',
    `The answer would have ${scores} scores, and may have ${tableCells}. Send fewer texts or fewer labels.`,
    { details: { field: 'labels', limit_scores: tableCells } },
  )
}
