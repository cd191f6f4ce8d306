import { validate } from '../../core/validation.ts'
import { type TeiPredictRequest, teiPredictRequestSchema, teiRankRequestSchema } from '../../protocols/tei/wire.ts'
import { bestLabels } from '../../tasks/shared/scores.ts'
import { assertCan } from '../../tasks/text/abilities.ts'
import { type ClassifyInput, scoreTexts } from '../../tasks/text-classification.ts'
import { rank } from '../../tasks/text-ranking.ts'
import { emptyList } from '../../tasks/vectors/embedding-inputs.ts'
import type { TextCall } from '../text-call.ts'
import { pairCuttingOf } from './cutting.ts'

/** `POST /predict`: all labels with their scores, best first; a list of such lists for a list of inputs. */
export async function predict(call: TextCall, body: unknown): Promise<unknown> {
  const { manifest } = call
  assertCan(manifest, 'classify')
  const request = validate(teiPredictRequestSchema, body, 'The request')
  const { inputs, single } = classified(request.inputs)
  if (inputs.length === 0) throw emptyList('inputs')
  call.accepted()
  // One score of a pair is no choice between labels.
  const own = manifest.task === 'text-ranking' ? ('sigmoid' as const) : undefined
  const activation = request.raw_scores ? ('none' as const) : own
  const field = (place: number): string => (single ? 'inputs' : `inputs[${place}]`)
  const { scores } = await scoreTexts(
    inputs,
    { field, ...pairCuttingOf(request), ...(activation && { activation }) },
    call,
  )
  const answers = scores.map((each) =>
    bestLabels(each, manifest, Number.POSITIVE_INFINITY).map(({ label, score }) => ({ score, label })),
  )
  return single ? answers[0] : answers
}

/** A list of texts is a pair; a list of lists are several inputs. */
function classified(sent: TeiPredictRequest['inputs']): { inputs: readonly ClassifyInput[]; single: boolean } {
  if (typeof sent === 'string') return { inputs: [sent], single: true }
  const [first] = sent
  if (typeof first === 'string') return { inputs: [inputOf(sent as readonly string[])], single: true }
  return { inputs: (sent as readonly (readonly string[])[]).map(inputOf), single: false }
}

function inputOf([text = '', pair]: readonly string[]): ClassifyInput {
  return pair === undefined ? text : { text, text_pair: pair }
}

/** `POST /rerank`: the texts' places with their scores, best first. */
export async function rerank(call: TextCall, body: unknown): Promise<unknown> {
  assertCan(call.manifest, 'rank')
  const request = validate(teiRankRequestSchema, body, 'The request')
  const { query, texts } = request
  if (texts.length === 0) throw emptyList('texts')
  call.accepted()
  const { ranked } = await rank(
    query,
    texts,
    {
      rawScores: request.raw_scores ?? false,
      queryField: 'query',
      textField: (place) => `texts[${place}]`,
      ...pairCuttingOf(request),
    },
    call,
  )
  return ranked.map(({ index, score }) => ({
    index,
    ...(request.return_text && { text: texts[index] ?? '' }),
    score,
  }))
}
