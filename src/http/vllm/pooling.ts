import type { Manifest } from '../../catalog/manifest.ts'
import { validate } from '../../core/validation.ts'
import { encodeVector } from '../../protocols/vector-encoding.ts'
import {
  type VllmPoolingRequest,
  type VllmPoolingTask,
  vllmClassifyRequestSchema,
  vllmEmbeddingsRequestSchema,
  vllmPoolingRequestSchema,
  vllmUsage,
} from '../../protocols/vllm/wire.ts'
import { labelOf } from '../../tasks/shared/scores.ts'
import { assertCan } from '../../tasks/text/abilities.ts'
import { embedsTexts } from '../../tasks/text/embedding-models.ts'
import { scoreTokens } from '../../tasks/text/token-scores.ts'
import { scoreTexts } from '../../tasks/text-classification.ts'
import { settingsOf } from '../../tasks/vectors/embedding-output.ts'
import type { TextCall } from '../text-call.ts'
import { rowsOf } from '../token-rows.ts'
import { cuttingOf, isRaw, textsAlone, vectorsOf } from './request.ts'

/** What stands around every list of answers. */
export function listOf(call: TextCall, prefix: string, data: readonly unknown[], tokens: number) {
  return {
    id: `${prefix}-${call.requestId}`,
    object: 'list',
    created: call.created,
    model: call.asked,
    data,
    usage: vllmUsage(tokens),
  }
}

/** `POST /v1/embeddings`. */
export async function embeddings(call: TextCall, body: unknown): Promise<unknown> {
  assertCan(call.manifest, 'embed')
  const request = validate(vllmEmbeddingsRequestSchema, body, 'The request')
  const { dense, total } = await vectorsOf(call, request, 'dense')
  const encoding = request.encoding_format ?? 'float'
  const data = dense.map((vector, index) => ({
    index,
    object: 'embedding',
    embedding: encodeVector(vector, encoding),
  }))
  return listOf(call, 'embd', data, total)
}

/** `POST /pooling`. */
export async function pooling(call: TextCall, body: unknown): Promise<unknown> {
  const request = validate(vllmPoolingRequestSchema, body, 'The request')
  const { answers, tokens } = await POOLED[request.task ?? taskOf(call.manifest)](call, request)
  const base64 = request.encoding_format === 'base64'
  const data = answers.map(({ values, width }, index) => ({
    index,
    object: 'pooling',
    data: base64
      ? encodeVector(values, 'base64')
      : width === undefined
        ? Array.from(values)
        : rowsOf({ values, width }),
  }))
  return listOf(call, 'pool', data, tokens)
}

interface Pooled {
  readonly answers: readonly {
    readonly values: Float32Array
    /** Of each row, where the answer is a matrix. */
    readonly width?: number
  }[]
  readonly tokens: number
}

/** What vLLM does where the request names no task: what the model was made for. */
function taskOf(manifest: Manifest): VllmPoolingTask {
  if (embedsTexts(manifest)) return settingsOf(manifest).pooling === 'none' ? 'token_embed' : 'embed'
  return manifest.task === 'token-classification' ? 'token_classify' : 'classify'
}

type Pool = (call: TextCall, request: VllmPoolingRequest) => Promise<Pooled>

const POOLED: Readonly<Record<VllmPoolingTask, Pool>> = {
  async embed(call, request) {
    assertCan(call.manifest, 'embed')
    const { dense, total } = await vectorsOf(call, request, 'dense')
    return { answers: dense.map((values) => ({ values })), tokens: total }
  },

  async token_embed(call, request) {
    assertCan(call.manifest, 'embed')
    const { tokens, total } = await vectorsOf(call, request, 'tokens')
    return { answers: tokens, tokens: total }
  },

  classify: classified,
  score: classified,

  async token_classify(call, request) {
    assertCan(call.manifest, 'classify tokens')
    const { texts, field } = textsAlone(request, call)
    call.accepted()
    const { scores, tokens } = await scoreTokens(texts, { field, ...cuttingOf(request), raw: isRaw(request) }, call)
    return { answers: scores, tokens }
  },
}

async function classified(call: TextCall, request: VllmPoolingRequest): Promise<Pooled> {
  const { scores, tokens } = await probabilities(call, request)
  return { answers: scores.map((each) => ({ values: Float32Array.from(each) })), tokens }
}

/** `POST /classify`: the probabilities of all labels in the model's order, and the name of the greatest. */
export async function classify(call: TextCall, body: unknown): Promise<unknown> {
  const request = validate(vllmClassifyRequestSchema, body, 'The request')
  const { scores, tokens } = await probabilities(call, request)
  const data = scores.map((each, index) => ({
    index,
    label: labelOf(call.manifest, each.indexOf(each.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY))),
    probs: Array.from(each),
    num_classes: each.length,
  }))
  return listOf(call, 'classify', data, tokens)
}

async function probabilities(
  call: TextCall,
  request: Pick<VllmPoolingRequest, 'input' | 'add_special_tokens' | 'use_activation' | 'activation' | 'softmax'> &
    Parameters<typeof cuttingOf>[0],
) {
  assertCan(call.manifest, 'classify')
  const { texts, field } = textsAlone(request, call)
  call.accepted()
  const own = call.manifest.task === 'text-ranking' ? ('sigmoid' as const) : undefined
  const activation = isRaw(request) ? ('none' as const) : own
  return scoreTexts(texts, { field, ...cuttingOf(request), ...(activation && { activation }) }, call)
}
