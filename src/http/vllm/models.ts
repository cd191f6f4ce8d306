import type { Manifest } from '../../catalog/manifest.ts'
import type { Limits } from '../../core/limits.ts'
import type { ListedModel } from '../models/manifests.ts'

/** Most tokens of a text, or of a chat and its answer together. */
export function maxLengthOf({ generation, text }: Manifest, { textTokens }: Limits): number {
  return generation?.contextLength ?? text?.maxTokens ?? textTokens
}

/** A model as vLLM's list has it. */
export function vllmModel({ alias, manifest }: ListedModel, limits: Limits) {
  const { created: pushed, live, model } = alias
  return {
    id: model,
    object: 'model',
    created: Math.max(0, ...live.map(({ version }) => pushed?.[version] ?? 0)),
    owned_by: 'vllm',
    root: model,
    parent: null,
    max_model_len: maxLengthOf(manifest, limits),
    permission: [],
  }
}
