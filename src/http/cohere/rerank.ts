import { VergeError } from '../../core/errors.ts'
import { validate } from '../../core/validation.ts'
import { type CohereMeta, cohereRerankRequestSchema, cohereRerankV1RequestSchema } from '../../protocols/cohere/wire.ts'
import { assertCan } from '../../tasks/text/abilities.ts'
import { rank } from '../../tasks/text-ranking.ts'
import { emptyList } from '../../tasks/vectors/embedding-inputs.ts'
import type { TextCall } from '../text-call.ts'

type Document = string | Readonly<Record<string, string>>

/** Documents of one query that Cohere counts as one search. It cuts longer ones into several; here a document is read once. */
const DOCUMENTS_PER_UNIT = 100

interface Ranking {
  readonly query: string
  readonly documents: readonly Document[]
  readonly top_n?: number | undefined
  readonly rank_fields?: readonly string[] | undefined
  readonly return_documents?: boolean | undefined
}

/** `POST /v2/rerank`. */
export async function rerank(call: TextCall, body: unknown): Promise<unknown> {
  assertCan(call.manifest, 'rank')
  const request = validate(cohereRerankRequestSchema, body, 'The request')
  return ranking(call, request, '2', request.max_tokens_per_doc)
}

/** `POST /v1/rerank`, whose documents may have fields. */
export async function rerankV1(call: TextCall, body: unknown): Promise<unknown> {
  assertCan(call.manifest, 'rank')
  return ranking(call, validate(cohereRerankV1RequestSchema, body, 'The request'), '1')
}

async function ranking(call: TextCall, request: Ranking, version: '1' | '2', maxTokens?: number) {
  const { documents, query, rank_fields: fields = ['text'], return_documents: whole } = request
  if (documents.length === 0) throw emptyList('documents')
  // Each once: a field that is named often would make a text of many times the document's length.
  const distinct = [...new Set(fields)]
  const texts = documents.map((document, i) => textOf(document, distinct, i))
  call.accepted()
  const { ranked } = await rank(
    query,
    texts,
    {
      rawScores: false,
      queryField: 'query',
      textField: (place) => `documents[${place}]`,
      ...(maxTokens !== undefined && { maxTokensOfSecond: maxTokens }),
    },
    call,
  )
  const searchUnits = Math.ceil(documents.length / DOCUMENTS_PER_UNIT)
  const meta: CohereMeta = { api_version: { version }, billed_units: { search_units: searchUnits } }
  return {
    id: call.requestId,
    results: ranked.slice(0, request.top_n).map(({ index, score }) => ({
      index,
      relevance_score: score,
      ...(whole && { document: asDocument(documents[index] ?? '') }),
    })),
    meta,
  }
}

/** The fields that a document is ranked by, in their order. @throws invalid_request where it has none of them */
function textOf(document: Document, fields: readonly string[], place: number): string {
  if (typeof document === 'string') return document
  const values = fields.flatMap((field) => (Object.hasOwn(document, field) ? [document[field] ?? ''] : []))
  if (values.length > 0) return values.join('\n')
  throw new VergeError(
    'invalid_request',
    `"documents[${place}]" has no field ${fields.map((field) => `"${field.slice(0, 64)}"`).join(' or ')}. Send a text, or name its fields in "rank_fields".`,
    { details: { field: `documents[${place}]` } },
  )
}

function asDocument(document: Document): Readonly<Record<string, string>> {
  return typeof document === 'string' ? { text: document } : document
}
