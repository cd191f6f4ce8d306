import type { Manifest } from '../../catalog/manifest.ts'
import type { Limits } from '../../core/limits.ts'
import type { ListedModel } from '../models/list.ts'

/** Most tokens of a text, or of a chat and its answer together. */
export function maxLengthOf({ generation, text }: Manifest, { textTokens }: Limits): number {
  return generation?.contextLength ?? text?.maxTokens ?? textTokens
}

/** A model as vLLM's list has it. */
export function vllmModel({ created, main, model }: ListedModel, { textTokens }: Limits) {
  return {
    id: model,
    object: 'model',
    created,
    owned_by: 'vllm',
    root: model,
    parent: null,
    max_model_len: main.context ?? textTokens,
    permission: [],
  }
}
