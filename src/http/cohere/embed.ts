import { VergeError } from '../../core/errors.ts'
import { validate } from '../../core/validation.ts'
import {
  type CohereEmbedRequest,
  type CohereInputType,
  type CohereMeta,
  type CohereTruncate,
  cohereEmbedRequestSchema,
  cohereEmbedV1RequestSchema,
} from '../../protocols/cohere/wire.ts'
import { encodeVector, type VectorEncoding } from '../../protocols/vector-encoding.ts'
import { assertCan } from '../../tasks/text/abilities.ts'
import { limitsFor } from '../../tasks/vectors/answers.ts'
import { emptyList, inputsOf, type Purpose, promptFor } from '../../tasks/vectors/embedding-inputs.ts'
import { embedVectors } from '../../tasks/vectors/vectors.ts'
import type { TextCall } from '../text-call.ts'

/** `POST /v2/embed`. */
export async function embed(call: TextCall, body: unknown): Promise<unknown> {
  assertCan(call.manifest, 'embed')
  const request = validate(cohereEmbedRequestSchema, body, 'The request')
  const { texts, name } = textsOf(request)
  const { max_tokens: maxTokens, output_dimension: dimensions } = request
  const types = request.embedding_types ?? ['float']
  const made = await vectorsOf(withRoomFor(types, call), texts, name, request.input_type, request.truncate, {
    ...(maxTokens !== undefined && { maxTokens: () => maxTokens }),
    ...(dimensions !== undefined && { dimensions }),
  })
  return {
    id: call.requestId,
    response_type: 'embeddings_by_type',
    embeddings: byType(made.vectors, types),
    texts,
    meta: metaOf('2', made.tokens),
  }
}

/** `POST /v1/embed`: plain lists of floats, where the request names no types. */
export async function embedV1(call: TextCall, body: unknown): Promise<unknown> {
  assertCan(call.manifest, 'embed')
  const request = validate(cohereEmbedV1RequestSchema, body, 'The request')
  const { texts, name } = textsOf(request)
  const types = request.embedding_types
  const room = withRoomFor(types ?? ['float'], call)
  const { tokens, vectors } = await vectorsOf(room, texts, name, request.input_type, request.truncate)
  return {
    id: call.requestId,
    response_type: types === undefined ? 'embeddings_floats' : 'embeddings_by_type',
    embeddings: types === undefined ? vectors.map((vector) => Array.from(vector)) : byType(vectors, types),
    texts,
    meta: metaOf('1', tokens),
  }
}

/** What a type of input is, by the names that models give their prompts. */
const PURPOSES: Readonly<Record<Exclude<CohereInputType, 'image'>, Purpose>> = {
  search_document: 'passage',
  search_query: 'query',
  classification: 'classification',
  clustering: 'clustering',
}

async function vectorsOf(
  call: TextCall,
  sent: readonly string[],
  name: string,
  type: CohereInputType | undefined,
  truncate: CohereTruncate,
  more: { readonly maxTokens?: () => number; readonly dimensions?: number } = {},
): Promise<{ readonly vectors: readonly Float32Array[]; readonly tokens: number }> {
  if (type === 'image') throw noImages('input_type')
  const { inputs, field } = inputsOf(sent, name, call.limits)
  call.accepted()
  const prompt = promptFor(call.manifest, type && PURPOSES[type])
  const { dense = [], total } = await embedVectors(
    inputs,
    ['dense'],
    {
      field,
      truncate: truncate !== 'NONE',
      ...(truncate !== undefined && {
        truncation_direction: truncate === 'START' ? ('left' as const) : ('right' as const),
      }),
      ...(prompt !== undefined && { prompt_name: prompt }),
      ...more,
    },
    call,
  )
  return { vectors: dense, tokens: total }
}

/** The texts of a request, which may stand in two fields. @throws invalid_request, empty_input, not_implemented */
function textsOf({ images, inputs, texts }: Pick<CohereEmbedRequest, 'images' | 'inputs' | 'texts'>): {
  texts: readonly string[]
  name: string
} {
  if (images !== undefined && images.length > 0) throw noImages('images')
  if ((texts === undefined) === (inputs === undefined)) {
    throw new VergeError(
      'invalid_request',
      texts === undefined
        ? 'The request has no "texts". Send a list of texts.'
        : 'The request has "texts" and "inputs". Remove one of them.',
      { details: { field: 'texts' } },
    )
  }
  const name = texts === undefined ? 'inputs' : 'texts'
  const all = texts ?? inputs?.map(({ content }, i) => content.map((part) => textOf(part, i)).join('\n')) ?? []
  if (all.length === 0) throw emptyList(name)
  return { texts: all, name }
}

function textOf(part: { readonly type: string; readonly text?: unknown }, place: number): string {
  if (typeof part.text === 'string') return part.text
  throw noImages(`inputs[${place}].content`)
}

function noImages(field: string): VergeError {
  return new VergeError('not_implemented', 'Embeddings of images are not implemented yet. Send texts.', {
    details: { field },
  })
}

function withRoomFor({ length }: readonly VectorEncoding[], call: TextCall): TextCall {
  return { ...call, limits: limitsFor(length, call.limits) }
}

function byType(vectors: readonly Float32Array[], types: readonly VectorEncoding[]) {
  return Object.fromEntries(types.map((type) => [type, vectors.map((vector) => encodeVector(vector, type))]))
}

function metaOf(version: '1' | '2', tokens: number): CohereMeta {
  return { api_version: { version }, billed_units: { input_tokens: tokens } }
}
