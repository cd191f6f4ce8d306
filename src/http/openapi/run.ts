import type { Manifest } from '../../catalog/manifest.ts'
import { errorBodySchema } from '../../protocols/verge/error.ts'
import type { BoundTask, Tasks } from '../../tasks/task.ts'
import { MODEL_PARAMETER, type Operation } from './parameters.ts'
import { type JsonSchema, jsonAnswer, type SchemaSet } from './schemas.ts'

/** A model with a task, as the document describes it. */
export interface DocumentedModel {
  readonly manifest: Manifest
  readonly task: BoundTask
}

const BYTES = { type: 'string', contentMediaType: 'application/octet-stream' }
const VERSION = {
  name: 'version',
  in: 'query',
  description: 'A version other than the live one',
  schema: { type: 'string' },
}

/** `/run/{model}`, whose task is the model's, and the paths of the models that were asked for. */
export function runPaths(
  schemas: SchemaSet,
  tasks: Tasks,
  models: readonly DocumentedModel[],
): Record<string, JsonSchema> {
  return {
    '/run/{model}': { parameters: [MODEL_PARAMETER], post: anyOperation(schemas, Object.values(tasks)) },
    ...Object.fromEntries(
      models.map((model) => [`/run/${model.manifest.model}`, { post: modelOperation(schemas, model) }]),
    ),
  }
}

function anyOperation(schemas: SchemaSet, tasks: readonly BoundTask[]): Operation {
  const answers = Map.groupBy(tasks, ({ response }) => schemas.mediaType(response))
  return {
    operationId: 'run',
    tags: ['tasks'],
    summary: 'The task of a model',
    description:
      'Which of these bodies a model takes is said by its task: `GET /models/{model}`. `GET /openapi.json?model=NAME` describes the requests of one model, with an example that works.',
    parameters: [VERSION],
    requestBody: {
      required: true,
      content: {
        'application/json': {
          schema: anyOf(tasks.map(({ request }) => schemas.use(request))),
          examples: Object.fromEntries(tasks.map(({ example, name }) => [name, { value: example }])),
        },
        ...rawContent([...new Set(tasks.flatMap(({ mediaTypes }) => mediaTypes))]),
      },
    },
    responses: {
      200: {
        description: 'The answer of the task',
        content: Object.fromEntries(
          [...answers].map(([type, some]) => [
            type,
            { schema: anyOf(some.map(({ response }) => schemas.use(response))) },
          ]),
        ),
      },
      default: jsonAnswer(schemas.use(errorBodySchema), 'A failure'),
    },
  }
}

function modelOperation(schemas: SchemaSet, { manifest, task }: DocumentedModel): Operation {
  const { request, example } = task.forModel?.(manifest) ?? task
  return {
    operationId: `run_${manifest.model}`,
    tags: ['tasks'],
    summary: `${task.name}: ${manifest.model}`,
    ...(manifest.description === undefined ? {} : { description: manifest.description }),
    parameters: [VERSION],
    requestBody: {
      required: true,
      content: {
        'application/json': { schema: schemas.use(request), example },
        ...rawContent(task.mediaTypes),
      },
    },
    responses: {
      200: {
        description: 'The answer of the task',
        content: { [schemas.mediaType(task.response)]: { schema: schemas.use(task.response) } },
      },
      default: jsonAnswer(schemas.use(errorBodySchema), 'A failure'),
    },
  }
}

/** A file by itself, or in a form. What takes no bytes has nothing to put into a form. */
function rawContent(mediaTypes: readonly string[]): Record<string, JsonSchema> {
  const form = {
    schema: { type: 'object', properties: { file: BYTES, parameters: { type: 'string' } }, required: ['file'] },
  }
  return {
    ...Object.fromEntries(mediaTypes.map((type) => [type, type.startsWith('text/') ? {} : { schema: BYTES }])),
    ...(mediaTypes.length > 0 && { 'multipart/form-data': form }),
  }
}

/** Each schema once: tasks of the same request share it. */
function anyOf(schemas: readonly JsonSchema[]): JsonSchema {
  const different = new Map(schemas.map((schema) => [JSON.stringify(schema), schema]))
  return { anyOf: [...different.values()] }
}
