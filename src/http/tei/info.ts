import type { Manifest } from '../../catalog/manifest.ts'
import type { Limits } from '../../core/limits.ts'
import type { TeiInfo } from '../../protocols/tei/wire.ts'
import { labelOf } from '../../tasks/shared/scores.ts'
import { embedsTexts } from '../../tasks/text/embedding-models.ts'
import { settingsOf } from '../../tasks/vectors/embedding-output.ts'

/** Names that it has for number formats; others stand as they are. */
const DTYPES: Readonly<Record<string, string>> = { fp32: 'float32', fp16: 'float16' }

/** What its router says of the model that it serves. */
export function infoOf(manifest: Manifest, asked: string, version: string, limits: Limits): TeiInfo {
  const { artifacts, model, text } = manifest
  const dtype = artifacts[0]?.dtype ?? 'fp32'
  const embeds = embedsTexts(manifest)
  return {
    model_id: model,
    model_sha: null,
    model_dtype: DTYPES[dtype] ?? dtype,
    served_model_name: asked,
    model_type: embeds
      ? { embedding: { pooling: poolingOf(manifest) } }
      : manifest.task === 'text-ranking'
        ? { reranker: labelsOf(manifest) }
        : { classifier: labelsOf(manifest) },
    max_concurrent_requests: limits.admittedRequests,
    max_input_length: text?.maxTokens ?? limits.textTokens,
    max_batch_tokens: limits.embeddingTokens,
    max_batch_requests: null,
    max_client_batch_size:
      embeds || manifest.task === 'text-ranking' ? limits.embeddingsPerRequest : limits.textsPerRequest,
    auto_truncate: false,
    tokenization_workers: 1,
    version,
    sha: null,
    docker_label: null,
  }
}

function poolingOf(manifest: Manifest): string {
  const { pooling, sparse } = settingsOf(manifest)
  if (sparse !== undefined && pooling === 'none') return 'splade'
  return pooling === 'last' ? 'last_token' : pooling
}

function labelsOf(manifest: Manifest) {
  const count = Math.max(1, manifest.labels?.length ?? 1)
  const labels = Array.from({ length: count }, (_, i) => labelOf(manifest, i))
  return {
    id2label: Object.fromEntries(labels.map((label, i) => [String(i), label])),
    label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
  }
}
