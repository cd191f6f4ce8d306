import type { MainVersion } from '../../catalog/index/entry.ts'
import type { Limits } from '../../core/limits.ts'
import { embedsTexts } from '../../tasks/text/embedding-models.ts'
import type { ListedModel } from '../models/list.ts'

/** A model as Cohere's list has it. */
export interface CohereModel {
  readonly name: string
  readonly is_deprecated: false
  readonly endpoints: readonly string[]
  readonly finetuned: false
  readonly context_length: number
}

export function cohereModel({ main, model }: ListedModel, { textTokens }: Limits): CohereModel {
  return {
    name: model,
    is_deprecated: false,
    endpoints: endpointsOf(main),
    finetuned: false,
    context_length: main.context ?? textTokens,
  }
}

/** Those of its addresses that answer for a model. */
function endpointsOf({ task }: MainVersion): readonly string[] {
  if (embedsTexts({ task })) return ['embed', 'rerank']
  return task === 'text-ranking' ? ['rerank'] : []
}
