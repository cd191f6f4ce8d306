import type { Limits } from '../../core/limits.ts'
import { openAiErrorBodySchema } from '../../protocols/openai/error.ts'
import {
  chatAnswerSchema,
  chatChunkSchema,
  completionAnswerSchema,
  completionChunkSchema,
} from '../../protocols/openai/generation.ts'
import { requestSchemas } from '../openai/request-schemas.ts'
import { type JsonSchema, jsonAnswer, jsonBody, jsonContent, type SchemaSet } from './schemas.ts'

/** Texts, as OpenAI has them. */
export function generationPaths(schemas: SchemaSet, limits: Limits): Record<string, JsonSchema> {
  const requests = requestSchemas(limits)
  const failure = jsonAnswer(schemas.use(openAiErrorBodySchema), 'A failure')
  const operation = (
    operationId: string,
    summary: string,
    [request, whole, part]: readonly JsonSchema[],
    more: JsonSchema = {},
  ): JsonSchema => ({
    ...more,
    post: {
      operationId,
      tags: ['openai'],
      summary,
      requestBody: jsonBody(request ?? {}),
      responses: {
        200: {
          description:
            'The text; with `stream` its parts as server-sent events, each the `data` of one, and `[DONE]` at last. A failure on the way is an event with an `error`, and the last.',
          content: { ...jsonContent(whole ?? {}), 'text/event-stream': { schema: part ?? {} } },
        },
        default: failure,
      },
    },
  })
  const chat = [schemas.use(requests.chat), schemas.use(chatAnswerSchema), schemas.use(chatChunkSchema)]
  const text = [
    schemas.use(requests.completion),
    schemas.use(completionAnswerSchema),
    schemas.use(completionChunkSchema),
  ]
  const named = {
    parameters: [
      {
        name: 'model',
        in: 'path',
        required: true,
        description: 'Stands over `model` in the body, which may be left out',
        schema: { type: 'string' },
      },
    ],
  }
  return {
    '/v1/chat/completions': operation('chat', 'An answer to messages', chat),
    '/v1/completions': operation('completion', 'A text continued', text),
    '/models/{model}/v1/chat/completions': operation('hf_chat', 'An answer to messages, for one model', chat, named),
    '/models/{model}/v1/completions': operation('hf_completion', 'A text continued, by one model', text, named),
  }
}
