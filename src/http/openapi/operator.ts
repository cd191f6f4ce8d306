import * as z from 'zod'
import { errorBodySchema } from '../wire.ts'
import { type JsonSchema, jsonAnswer, type SchemaSet } from './schemas.ts'

const explanationSchema = z
  .object({
    model: z.string(),
    version: z.string(),
    route: z.string(),
    decision: z.looseObject({ reason: z.string() }).meta({
      description:
        'Where there are origins also `place`, `steps`, to be tried in this order, `considered`, every artifact and every origin with what spoke for or against it, and a `refusal` where there is no place',
    }),
  })
  .meta({ id: 'Explanation' })

/** What is for the operator, and for origins. */
export function operatorPaths(schemas: SchemaSet): Record<string, JsonSchema> {
  const failure = jsonAnswer(schemas.use(errorBodySchema), 'A failure')
  const parameter = (name: string, place: 'path' | 'query', schema: JsonSchema): JsonSchema => ({
    name,
    in: place,
    ...(place === 'path' && { required: true }),
    schema,
  })
  const text = { type: 'string' }
  const bytes = {
    content: { 'application/octet-stream': { schema: { ...text, contentMediaType: 'application/octet-stream' } } },
  }
  return {
    '/explain/{model}': {
      parameters: [parameter('model', 'path', text)],
      get: {
        operationId: 'explain',
        tags: ['service'],
        summary: 'Where a request would be computed now, and why: for the operator',
        parameters: [
          parameter('route', 'query', { ...text, enum: ['task', 'oip', 'openai', 'rerank'], default: 'task' }),
          parameter('version', 'query', text),
        ],
        responses: { 200: jsonAnswer(schemas.use(explanationSchema), 'The decision'), default: failure },
      },
    },
    '/store': {
      get: {
        operationId: 'store_list',
        tags: ['service'],
        summary: 'Names of the models: for origins',
        parameters: [
          { ...parameter('list', 'query', { ...text, const: 'alias/' }), required: true },
          parameter('cursor', 'query', text),
        ],
        responses: { 200: jsonAnswer({ type: 'object' }, 'A page of keys'), default: failure },
      },
    },
    '/store/{key}': {
      parameters: [parameter('key', 'path', text)],
      get: {
        operationId: 'store_get',
        tags: ['service'],
        summary: 'Catalogue and weights: for origins. The key may hold slashes',
        responses: {
          200: { description: 'The whole', ...bytes },
          206: { description: 'The range that was asked for', ...bytes },
          default: failure,
        },
      },
    },
  }
}
