import { VergeError } from '../../core/errors.ts'
import { validate } from '../../core/validation.ts'
import { type VllmScoreRequest, vllmRerankRequestSchema, vllmScoreRequestSchema } from '../../protocols/vllm/wire.ts'
import { assertCan } from '../../tasks/text/abilities.ts'
import { fieldIn } from '../../tasks/text/texts.ts'
import { rank, score as scoreOf } from '../../tasks/text-ranking.ts'
import { emptyList } from '../../tasks/vectors/embedding-inputs.ts'
import type { TextCall } from '../text-call.ts'
import { listOf } from './pooling.ts'
import { cuttingOf, isRaw } from './request.ts'

interface Side {
  readonly name: string
  readonly texts: readonly string[]
  readonly field: (place: number) => string
}

/** `POST /score`: one text with each of a list, or two lists pair by pair. */
export async function score(call: TextCall, body: unknown): Promise<unknown> {
  assertCan(call.manifest, 'rank')
  const request = validate(vllmScoreRequestSchema, body, 'The request')
  const [first, second] = sidesOf(request)
  if (first.texts.length !== 1 && first.texts.length !== second.texts.length) {
    throw new VergeError(
      'invalid_request',
      `"${first.name}" has ${first.texts.length} texts and "${second.name}" has ${second.texts.length}. Send one text with a list, or two lists of one length.`,
      { details: { field: second.name } },
    )
  }
  call.accepted()
  const options = {
    rawScores: isRaw(request),
    firstField: first.field,
    secondField: second.field,
    ...cuttingOf(request),
  }
  const { scores, tokens } = await scoreOf(first.texts, second.texts, options, call)
  const data = scores.map((value, index) => ({ index, object: 'score', score: value }))
  return listOf(call, 'score', data, tokens)
}

/** Names that the two lists have had. */
const NAMES = [
  ['text_1', 'text_2'],
  ['queries', 'documents'],
  ['queries', 'items'],
  ['data_1', 'data_2'],
] as const

function sidesOf(request: VllmScoreRequest): readonly [Side, Side] {
  const sent = Object.keys(request).filter((name) => NAMES.some((pair) => pair.some((each) => each === name)))
  const names = NAMES.find((pair) => sent.length === 2 && pair.every((name) => sent.includes(name)))
  if (names === undefined) {
    throw new VergeError('invalid_request', 'The request needs "text_1" and "text_2", or "queries" and "documents".', {
      details: { field: 'text_1' },
    })
  }
  return [sideOf(names[0], request[names[0]]), sideOf(names[1], request[names[1]])]
}

/** @throws empty_input */
function sideOf(name: string, sent: string | readonly string[] | undefined): Side {
  const texts = typeof sent === 'string' ? [sent] : (sent ?? [])
  if (texts.length === 0) throw emptyList(name)
  return { name, texts, field: fieldIn(name, typeof sent !== 'string') }
}

/** `POST /rerank`: documents with their texts, best first. */
export async function rerank(call: TextCall, body: unknown): Promise<unknown> {
  assertCan(call.manifest, 'rank')
  const request = validate(vllmRerankRequestSchema, body, 'The request')
  const { texts, field } = sideOf('documents', request.documents)
  const maxTokens = request.max_tokens_per_doc ?? 0
  call.accepted()
  const { ranked, tokens } = await rank(
    request.query,
    texts,
    {
      rawScores: isRaw(request),
      queryField: 'query',
      textField: field,
      ...cuttingOf(request),
      ...(maxTokens > 0 && { maxTokensOfSecond: maxTokens }),
    },
    call,
  )
  const most = request.top_n ?? 0
  return {
    id: `rerank-${call.requestId}`,
    model: call.asked,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
    results: ranked.slice(0, most === 0 ? undefined : most).map(({ index, score: value }) => ({
      index,
      document: { text: texts[index] ?? '', multi_modal: null },
      relevance_score: value,
    })),
  }
}
