import type { Limits } from '../../core/limits.ts'
import { openAiErrorBodySchema } from '../../protocols/openai/error.ts'
import {
  chatAnswerSchema,
  chatChunkSchema,
  completionAnswerSchema,
  completionChunkSchema,
} from '../../protocols/openai/generation.ts'
import { openAiResponseSchema, responseEventSchema } from '../../protocols/openai/responses.ts'
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
    streamed = 'The text; with `stream`, server-sent events whose `data` is a part, then `[DONE]`. A failure during the answer is a last event with an `error`.',
  ): JsonSchema => ({
    ...more,
    post: {
      operationId,
      tags: ['openai'],
      summary,
      requestBody: jsonBody(request ?? {}),
      responses: {
        200: {
          description: streamed,
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
  const response = [
    schemas.use(requests.responses),
    schemas.use(openAiResponseSchema),
    schemas.use(responseEventSchema),
  ]
  const named = {
    parameters: [
      {
        name: 'model',
        in: 'path',
        required: true,
        description: 'Takes precedence over `model` in the body, which is optional',
        schema: { type: 'string' },
      },
    ],
  }
  return {
    '/v1/chat/completions': operation('chat', 'Chat completion', chat),
    '/v1/completions': operation('completion', 'Text completion', text),
    '/v1/responses': operation(
      'response',
      'Response to a text or messages',
      response,
      {},
      'The response; with `stream`, named server-sent events. A failure during the answer is a last event `error`.',
    ),
    '/models/{model}/v1/chat/completions': operation('hf_chat', 'Chat completion, for one model', chat, named),
    '/models/{model}/v1/completions': operation('hf_completion', 'Text completion, for one model', text, named),
  }
}
