import {
  chatAnswerSchema,
  chatChunkSchema,
  chatRequestSchema,
  completionAnswerSchema,
  completionChunkSchema,
  completionRequestSchema,
} from '../openai/generation-wire.ts'
import { openAiErrorBodySchema } from '../wire.ts'
import type { JsonSchema, SchemaSet } from './schemas.ts'

/** Texts, as OpenAI has them. */
export function generationPaths(schemas: SchemaSet): Record<string, JsonSchema> {
  const failure = { description: 'A failure', content: json(schemas.use(openAiErrorBodySchema)) }
  const operation = (
    operationId: string,
    summary: string,
    [request, whole, part]: readonly JsonSchema[],
  ): JsonSchema => ({
    post: {
      operationId,
      tags: ['openai'],
      summary,
      requestBody: { required: true, content: json(request ?? {}) },
      responses: {
        200: {
          description:
            'The text; with `stream` its parts as server-sent events, each the `data` of one, and `[DONE]` at last. A failure on the way is an event with an `error`, and the last.',
          content: { ...json(whole ?? {}), 'text/event-stream': { schema: part ?? {} } },
        },
        default: failure,
      },
    },
  })
  return {
    '/v1/chat/completions': operation('chat', 'An answer to messages', [
      schemas.use(chatRequestSchema),
      schemas.use(chatAnswerSchema),
      schemas.use(chatChunkSchema),
    ]),
    '/v1/completions': operation('completion', 'A text continued', [
      schemas.use(completionRequestSchema),
      schemas.use(completionAnswerSchema),
      schemas.use(completionChunkSchema),
    ]),
  }
}

function json(schema: JsonSchema): JsonSchema {
  return { 'application/json': { schema } }
}
