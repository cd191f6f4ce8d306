import { validate } from '../../core/validation.ts'
import {
  teiEmbedKindRequestSchema,
  teiEmbedRequestSchema,
  teiOpenAiRequestSchema,
  teiSimilarityRequestSchema,
} from '../../protocols/tei/wire.ts'
import { encodeVector } from '../../protocols/vector-encoding.ts'
import { assertCan } from '../../tasks/text/abilities.ts'
import { checkTexts } from '../../tasks/text/texts.ts'
import { emptyList, inputsOf } from '../../tasks/vectors/embedding-inputs.ts'
import { cosine } from '../../tasks/vectors/pooling.ts'
import { embedVectors } from '../../tasks/vectors/vectors.ts'
import type { TextCall } from '../text-call.ts'
import { rowsOf } from '../token-rows.ts'
import { cuttingOf } from './cutting.ts'

/** `POST /embed`: a list of vectors, also for one text. */
export async function embed(call: TextCall, body: unknown): Promise<unknown> {
  assertCan(call.manifest, 'embed')
  const request = validate(teiEmbedRequestSchema, body, 'The request')
  const { inputs, field } = inputsOf(request.inputs, 'inputs', call.limits)
  call.accepted()
  const { dimensions, normalize } = request
  const { dense = [] } = await embedVectors(
    inputs,
    ['dense'],
    { field, ...cuttingOf(request), normalize: normalize ?? true, ...(dimensions && { dimensions }) },
    call,
  )
  return dense.map((vector) => Array.from(vector))
}

/** `POST /embed_sparse`: for each text the tokens that have a weight, by their ids. */
export async function embedSparse(call: TextCall, body: unknown): Promise<unknown> {
  assertCan(call.manifest, 'embed')
  const request = validate(teiEmbedKindRequestSchema, body, 'The request')
  const { inputs, field } = inputsOf(request.inputs, 'inputs', call.limits)
  call.accepted()
  const { sparse = [] } = await embedVectors(inputs, ['sparse'], { field, ...cuttingOf(request) }, call)
  return sparse.map(({ indices, values }) => Array.from(indices, (index, i) => ({ index, value: values[i] ?? 0 })))
}

/** `POST /embed_all`: for each text a list of vectors, one for each token. */
export async function embedAll(call: TextCall, body: unknown): Promise<unknown> {
  assertCan(call.manifest, 'embed')
  const request = validate(teiEmbedKindRequestSchema, body, 'The request')
  const { inputs, field } = inputsOf(request.inputs, 'inputs', call.limits)
  call.accepted()
  const { tokens = [] } = await embedVectors(inputs, ['tokens'], { field, ...cuttingOf(request) }, call)
  return tokens.map(rowsOf)
}

/** `POST /similarity`: the cosine of each sentence's vector with the first one's. */
export async function similarity(call: TextCall, body: unknown): Promise<unknown> {
  assertCan(call.manifest, 'embed')
  const { inputs, parameters } = validate(teiSimilarityRequestSchema, body, 'The request')
  if (inputs.sentences.length === 0) throw emptyList('inputs.sentences')
  const texts = [inputs.source_sentence, ...inputs.sentences]
  const field = (place: number): string => (place === 0 ? 'inputs.source_sentence' : `inputs.sentences[${place - 1}]`)
  checkTexts(texts, field, call.limits)
  call.accepted()
  const { dense = [] } = await embedVectors(texts, ['dense'], { field, ...cuttingOf(parameters ?? {}) }, call)
  const [source = new Float32Array(0), ...others] = dense
  return others.map((vector) => cosine(source, vector))
}

/** `POST /v1/embeddings`, which names no model that counts: the path does. */
export async function embedLikeOpenAi(call: TextCall, body: unknown): Promise<unknown> {
  assertCan(call.manifest, 'embed')
  const request = validate(teiOpenAiRequestSchema, body, 'The request')
  const { inputs, field } = inputsOf(request.input, 'input', call.limits)
  call.accepted()
  const { dimensions, encoding_format: encoding } = request
  const { dense = [], total } = await embedVectors(
    inputs,
    ['dense'],
    { field, truncate: false, normalize: true, ...(dimensions && { dimensions }) },
    call,
  )
  return {
    object: 'list',
    data: dense.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: encodeVector(vector, encoding ?? 'float'),
    })),
    model: call.asked,
    usage: { prompt_tokens: total, total_tokens: total },
  }
}
