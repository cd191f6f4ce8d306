import * as z from 'zod'
import { usagePrincipalsSchema, usageReportSchema } from '../../protocols/usage.ts'
import { errorBodySchema } from '../../protocols/verge/error.ts'
import { operationsBodySchema } from '../../protocols/verge/operations.ts'
import { probesAnswerSchema, probesSchema, releaseBodySchema } from '../../protocols/verge/releases.ts'
import { type JsonSchema, jsonAnswer, jsonContent, type SchemaSet } from './schemas.ts'

const explanationSchema = z
  .object({
    model: z.string(),
    version: z.string(),
    route: z.string(),
    decision: z.looseObject({ reason: z.string() }).meta({
      description:
        'With origins also `place`, `steps` in the order in which they are tried, `considered` (every artifact and origin with the reasons for and against it), and a `refusal` if no place can run the request',
    }),
    limits: z
      .looseObject({
        model: z.looseObject({}).nullable(),
        caller: z.array(z.looseObject({})),
      })
      .meta({
        description: "The model's own limits, the caller's, and those of a plan by its name: `anonymous`, or `?plan=`",
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
        summary: 'Where a request would run now, and why (operator only)',
        parameters: [
          parameter('route', 'query', { ...text, enum: ['task', 'oip', 'openai', 'rerank', 'own'], default: 'task' }),
          parameter('version', 'query', text),
          parameter('plan', 'query', { ...text, description: 'A plan whose limits are shown; default: `anonymous`' }),
        ],
        responses: { 200: jsonAnswer(schemas.use(explanationSchema), 'The decision'), default: failure },
      },
    },
    '/metrics': {
      get: {
        operationId: 'metrics',
        tags: ['service'],
        summary: 'What all isolates have counted (operator, and keys that allow "metrics" for all models)',
        responses: {
          200: {
            description: "The metrics, in Prometheus' text format or, by `Accept`, in OpenMetrics'",
            content: { 'text/plain': { schema: text }, 'application/openmetrics-text': { schema: text } },
          },
          default: failure,
        },
      },
    },
    '/v1/usage': {
      get: {
        operationId: 'usage',
        tags: ['service'],
        summary: 'What the caller has used; for the operator, what any principal has',
        parameters: [
          parameter('from', 'query', {
            ...text,
            format: 'date',
            description: "Default: the first day of `to`'s month",
          }),
          parameter('to', 'query', { ...text, format: 'date', description: 'Default: today, in UTC' }),
          parameter('group', 'query', { ...text, enum: ['day', 'model'], default: 'day' }),
          parameter('principal', 'query', { ...text, description: 'Operator only. Default: `operator`' }),
        ],
        responses: { 200: jsonAnswer(schemas.use(usageReportSchema), 'The usage'), default: failure },
      },
    },
    '/v1/usage/principals': {
      get: {
        operationId: 'usage_principals',
        tags: ['service'],
        summary: 'Whose usage there is (operator only)',
        parameters: [parameter('cursor', 'query', text)],
        responses: { 200: jsonAnswer(schemas.use(usagePrincipalsSchema), 'A page of principals'), default: failure },
      },
    },
    '/v1/operations': {
      get: {
        operationId: 'operations',
        tags: ['service'],
        summary:
          'Health, traffic, cost and changes of all isolates (the operator, and keys that allow "metrics" for all models)',
        responses: { 200: jsonAnswer(schemas.use(operationsBodySchema), 'The report'), default: failure },
      },
    },
    '/v1/releases/{model}': {
      parameters: [parameter('model', 'path', text)],
      get: {
        operationId: 'release',
        tags: ['service'],
        summary: 'A model\'s release and what was seen of its canary (the operator, and keys that allow "metrics")',
        responses: { 200: jsonAnswer(schemas.use(releaseBodySchema), 'The release'), default: failure },
      },
    },
    '/v1/releases/{model}/probes': {
      parameters: [parameter('model', 'path', text)],
      post: {
        operationId: 'release_probes',
        tags: ['service'],
        summary: 'Counts times of both versions that a probe has measured (operator only)',
        requestBody: { required: true, content: jsonContent(schemas.use(probesSchema)) },
        responses: { 200: jsonAnswer(schemas.use(probesAnswerSchema), 'The verdict of the watch'), default: failure },
      },
    },
    '/store': {
      get: {
        operationId: 'store_list',
        tags: ['service'],
        summary: 'Names of the models (origins only)',
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
        summary: 'Catalogue and weights (origins only). The key may contain slashes',
        responses: {
          200: { description: 'The whole', ...bytes },
          206: { description: 'The requested range', ...bytes },
          default: failure,
        },
      },
    },
  }
}
