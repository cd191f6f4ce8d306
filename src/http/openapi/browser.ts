import { browserPlanSchema } from '../../protocols/browser/wire.ts'
import { errorBodySchema } from '../../protocols/verge/error.ts'
import { type JsonSchema, jsonAnswer, type SchemaSet } from './schemas.ts'

const text = { type: 'string' }
const version = {
  name: 'version',
  in: 'query',
  description: 'A version other than the live one (operator only)',
  schema: text,
}
const model = { name: 'model', in: 'path', required: true, schema: text }

/** What browsers are given of models that are downloadable. */
export function browserPaths(schemas: SchemaSet): Record<string, JsonSchema> {
  const failure = jsonAnswer(schemas.use(errorBodySchema), 'A failure')
  const header = (description: string): JsonSchema => ({ description, schema: text })
  const headers = { etag: header('The digest in quotes'), 'content-range': header('Of a part') }
  const content = { 'application/octet-stream': { schema: { ...text, contentMediaType: 'application/octet-stream' } } }
  return {
    '/browser/{model}': {
      parameters: [model, version],
      get: {
        operationId: 'browser_plan',
        tags: ['service'],
        summary: 'What a browser needs to run a downloadable model: its settings, and the digests of its chunks',
        responses: { 200: jsonAnswer(schemas.use(browserPlanSchema), 'The plan'), default: failure },
      },
    },
    '/weights/{model}/{sha256}': {
      parameters: [
        model,
        { name: 'sha256', in: 'path', required: true, schema: { ...text, pattern: '^[0-9a-f]{64}$' } },
        version,
      ],
      get: {
        operationId: 'weights',
        tags: ['service'],
        summary: 'A chunk of the weights, pages or files of a downloadable model. Its reader verifies the digest',
        parameters: [
          { name: 'range', in: 'header', schema: text },
          { name: 'if-range', in: 'header', schema: text },
          { name: 'if-none-match', in: 'header', schema: text },
        ],
        responses: {
          200: { description: 'The whole', headers, content },
          206: { description: 'The requested range', headers, content },
          304: { description: 'The caller has it' },
          416: { description: 'The range begins past the end' },
          default: failure,
        },
      },
    },
  }
}
