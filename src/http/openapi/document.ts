import type { Limits } from '../../core/limits.ts'
import { modelCardListSchema, modelDetailSchema } from '../../protocols/models.ts'
import { PROTOCOLS } from '../../protocols/names.ts'
import { JSON_LENGTH_HEADER } from '../../protocols/oip/headers.ts'
import {
  inferRequestSchema,
  inferResponseSchema,
  liveSchema,
  modelMetadataSchema,
  modelReadySchema,
  oipErrorBodySchema,
  readySchema,
  repositoryIndexRequestSchema,
  repositoryIndexSchema,
  serverMetadataSchema,
} from '../../protocols/oip/wire.ts'
import { openAiErrorBodySchema } from '../../protocols/openai/error.ts'
import { openAiModelListSchema, openAiModelSchema } from '../../protocols/openai/models.ts'
import { errorBodySchema } from '../../protocols/verge/error.ts'
import type { Tasks } from '../../tasks/task.ts'
import { healthSchema, indexSchema } from '../wire.ts'
import { browserPaths } from './browser.ts'
import { embeddingPaths } from './embeddings.ts'
import { generationPaths } from './generation.ts'
import { operatorPaths } from './operator.ts'
import { otherPaths } from './others.ts'
import { LIST_PARAMETERS, MODEL_PARAMETER, type Operation, VERSION_PARAMETER } from './parameters.ts'
import { type DocumentedModel, runPaths } from './run.ts'
import { type JsonSchema, jsonAnswer, jsonContent, SchemaSet } from './schemas.ts'
import { streamPaths } from './streams.ts'
import { tokenPaths } from './tokens.ts'

/**
 * The OpenAPI 3.1 document: made from the schemas that validate, so that it says what is accepted. It is as long for ten
 * models as for ten thousand: `/run/{model}` has every task, and of models only those asked for have a path of their own.
 * @param models those that were asked for
 * @param downloads whether browsers are given weights here
 */
export function openApiDocument(
  version: string,
  tasks: Tasks,
  models: readonly DocumentedModel[],
  limits: Limits,
  downloads: boolean,
): JsonSchema {
  const schemas = new SchemaSet()
  const described: Record<string, JsonSchema> = {
    ...generalPaths(schemas),
    ...runPaths(schemas, tasks, models),
    ...streamPaths(
      schemas,
      models.map(({ manifest }) => manifest),
    ),
    ...cardPaths(schemas),
    ...oipPaths(schemas),
    ...openAiPaths(schemas),
    ...embeddingPaths(schemas),
    ...generationPaths(schemas, limits),
    ...(downloads && browserPaths(schemas)),
    ...tokenPaths(schemas),
    ...operatorPaths(schemas),
  }
  const paths = { ...described, ...otherPaths(described) }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Verge',
      version,
      description:
        'Answers from ONNX models. Every answer carries `x-request-id`, and `verge-model` (`name@version`) where a version answers; an inference also `verge-placement`, `verge-cache` (`hit`, `miss` or `bypass`) and, where a clock could measure it, `server-timing`. `verge-timeout-ms` shortens the deadline; `verge-place` (`edge`, `origin`, `auto`) chooses where the request runs.',
    },
    servers: [{ url: '/' }],
    // Public models need no credential, and answer to any.
    security: [{}, { bearer: [] }],
    tags: ['tasks', 'open inference protocol', 'service', ...PROTOCOLS].map((name) => ({ name })),
    paths,
    components: {
      schemas: schemas.components(),
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
    },
  }
}

function generalPaths(schemas: SchemaSet): Record<string, JsonSchema> {
  const failure = jsonAnswer(schemas.use(errorBodySchema), 'A failure')
  const index: Operation = {
    operationId: 'index',
    tags: ['service'],
    summary: 'Name, version and links',
    responses: { 200: jsonAnswer(schemas.use(indexSchema), 'Links'), default: failure },
  }
  const healthy = schemas.use(healthSchema)
  const health: Operation = {
    operationId: 'health',
    tags: ['service'],
    summary: 'Health of the engine',
    responses: { 200: jsonAnswer(healthy, 'It can'), 503: jsonAnswer(healthy, 'It cannot'), default: failure },
  }
  const client: Operation = {
    operationId: 'client',
    tags: ['service'],
    summary: 'A client for JavaScript, as a module',
    responses: { 200: { description: 'The module', content: { 'text/javascript': {} } }, default: failure },
  }
  return { '/': { get: index }, '/healthz': { get: health }, '/client.js': { get: client } }
}

function cardPaths(schemas: SchemaSet): Record<string, JsonSchema> {
  const failure = jsonAnswer(schemas.use(errorBodySchema), 'A failure')
  const list: Operation = {
    operationId: 'model_cards',
    tags: ['service'],
    summary: 'Models that the caller may use, with their tasks, sizes and places',
    parameters: LIST_PARAMETERS,
    responses: { 200: jsonAnswer(schemas.use(modelCardListSchema), 'Models'), default: failure },
  }
  const one: Operation = {
    operationId: 'model_detail',
    tags: ['service'],
    summary: 'One model: tensors, labels, artifacts, and a request that works',
    responses: { 200: jsonAnswer(schemas.use(modelDetailSchema), 'The model'), default: failure },
  }
  return { '/models': { get: list }, '/models/{model}': { parameters: [MODEL_PARAMETER], get: one } }
}

function oipPaths(schemas: SchemaSet): Record<string, JsonSchema> {
  const failure = jsonAnswer(schemas.use(oipErrorBodySchema), 'A failure')
  const get = (operationId: string, summary: string, ok: JsonSchema, more: JsonSchema = {}): Operation => ({
    operationId,
    tags: ['open inference protocol'],
    summary,
    responses: { 200: ok, ...more, default: failure },
  })
  const ready = jsonAnswer(schemas.use(readySchema), 'Health of the engine')
  const modelReady = jsonAnswer(schemas.use(modelReadySchema), 'Readiness of the model')
  const paths: Record<string, JsonSchema> = {
    '/v2': { get: get('oip_server', 'Server metadata', jsonAnswer(schemas.use(serverMetadataSchema), 'Metadata')) },
    '/v2/health/live': { get: get('oip_live', 'Liveness', jsonAnswer(schemas.use(liveSchema), 'It lives')) },
    '/v2/health/ready': { get: get('oip_ready', 'Readiness', ready, { 400: ready }) },
  }
  paths['/v2/repository/index'] = {
    post: {
      ...get(
        'oip_repository_index',
        'Models that the caller may use',
        jsonAnswer(schemas.use(repositoryIndexSchema), 'Versions'),
      ),
      parameters: LIST_PARAMETERS,
      requestBody: { content: jsonContent(schemas.use(repositoryIndexRequestSchema)) },
    },
  }
  const metadata = jsonAnswer(schemas.use(modelMetadataSchema), 'Names, types and shapes')
  for (const [base, suffix, parameters] of [
    ['/v2/models/{model}', '', [MODEL_PARAMETER]],
    ['/v2/models/{model}/versions/{version}', '_version', [MODEL_PARAMETER, VERSION_PARAMETER]],
  ] as const) {
    paths[base] = { parameters, get: get(`oip_model${suffix}`, 'Model metadata', metadata) }
    paths[`${base}/ready`] = {
      parameters,
      get: get(`oip_model_ready${suffix}`, 'Model readiness', modelReady, { 400: modelReady }),
    }
    paths[`${base}/infer`] = { parameters, post: inferOperation(schemas, `oip_infer${suffix}`, failure) }
  }
  return paths
}

function inferOperation(schemas: SchemaSet, operationId: string, failure: JsonSchema): Operation {
  const binary = { schema: { type: 'string', contentMediaType: 'application/octet-stream' } }
  const length = { description: 'Bytes of the JSON header before binary data', schema: { type: 'integer', minimum: 1 } }
  return {
    operationId,
    tags: ['open inference protocol'],
    summary: 'Inference on tensors',
    parameters: [{ name: JSON_LENGTH_HEADER, in: 'header', ...length }],
    requestBody: {
      required: true,
      content: { ...jsonContent(schemas.use(inferRequestSchema)), 'application/octet-stream': binary },
    },
    responses: {
      200: {
        description: 'The outputs, as JSON or, if binary data was requested, as a JSON header and bytes',
        headers: { [JSON_LENGTH_HEADER]: length },
        content: {
          ...jsonContent(schemas.use(inferResponseSchema)),
          'application/octet-stream': binary,
        },
      },
      default: failure,
    },
  }
}

function openAiPaths(schemas: SchemaSet): Record<string, JsonSchema> {
  const failure = jsonAnswer(schemas.use(openAiErrorBodySchema), 'A failure')
  const list: Operation = {
    operationId: 'models',
    tags: ['openai'],
    summary: 'Models that the caller may use',
    parameters: LIST_PARAMETERS,
    responses: { 200: jsonAnswer(schemas.use(openAiModelListSchema), 'Models'), default: failure },
  }
  const one: Operation = {
    operationId: 'model',
    tags: ['openai'],
    summary: 'One model',
    responses: { 200: jsonAnswer(schemas.use(openAiModelSchema), 'The model'), default: failure },
  }
  return {
    '/v1/models': { get: list },
    '/v1/models/{model}': { parameters: [MODEL_PARAMETER], get: one },
  }
}
