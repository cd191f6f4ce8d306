import { validate } from '../../core/validation.ts'
import { jinaRerankRequestSchema } from '../../protocols/jina/wire.ts'
import { assertCan } from '../../tasks/text/abilities.ts'
import { rank } from '../../tasks/text-ranking.ts'
import type { TextCall } from '../text-call.ts'
import { textOf, textsOf } from './texts.ts'

/** `POST /v1/rerank`: with the documents, unless the request does not want them. */
export async function rerank(call: TextCall, body: unknown): Promise<unknown> {
  assertCan(call.manifest, 'rank')
  const request = validate(jinaRerankRequestSchema, body, 'The request')
  const texts = textsOf(request.documents, 'documents')
  const query = textOf(request.query, 'query')
  const { max_tokens_per_doc: maxTokens, return_documents: whole = true, truncation } = request
  call.accepted()
  const { ranked, tokens } = await rank(
    query,
    texts,
    {
      rawScores: false,
      queryField: 'query',
      textField: (place) => `documents[${place}]`,
      ...(truncation !== undefined && { truncate: truncation }),
      ...(maxTokens !== undefined && { maxTokensOfSecond: maxTokens }),
    },
    call,
  )
  return {
    model: call.asked,
    object: 'list',
    usage: { total_tokens: tokens },
    results: ranked.slice(0, request.top_n).map(({ index, score }) => ({
      index,
      relevance_score: score,
      ...(whole && { document: { text: texts[index] ?? '' } }),
    })),
  }
}
