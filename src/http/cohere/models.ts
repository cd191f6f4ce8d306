import type { Manifest } from '../../catalog/manifest.ts'
import type { Limits } from '../../core/limits.ts'
import { embedsTexts } from '../../tasks/embedding-models.ts'

/** A model as Cohere's list has it. */
export interface CohereModel {
  readonly name: string
  readonly is_deprecated: false
  readonly endpoints: readonly string[]
  readonly finetuned: false
  readonly context_length: number
}

export function cohereModel(manifest: Manifest, { textTokens }: Limits): CohereModel {
  const { generation, model, text } = manifest
  return {
    name: model,
    is_deprecated: false,
    endpoints: endpointsOf(manifest),
    finetuned: false,
    context_length: generation?.contextLength ?? text?.maxTokens ?? textTokens,
  }
}

/** Those of its addresses that answer for a model. */
function endpointsOf({ task }: Manifest): readonly string[] {
  if (embedsTexts({ task })) return ['embed', 'rerank']
  return task === 'text-ranking' ? ['rerank'] : []
}
