import type { JsonSchema } from './schemas.ts'

export interface Operation extends JsonSchema {
  readonly operationId: string
}

const TEXT = { type: 'string' }

export const MODEL_PARAMETER = { name: 'model', in: 'path', required: true, schema: TEXT }
export const VERSION_PARAMETER = { name: 'version', in: 'path', required: true, schema: TEXT }

/** Which part of a list of models is asked for. */
export const LIST_PARAMETERS = [
  { name: 'limit', in: 'query', description: 'Most models', schema: { type: 'integer', minimum: 1 } },
  { name: 'after', in: 'query', description: 'Models behind this name: `next` of the page before', schema: TEXT },
  { name: 'prefix', in: 'query', description: 'Models whose names begin so', schema: TEXT },
]
