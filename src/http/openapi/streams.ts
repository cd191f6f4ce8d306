import type { Manifest } from '../../catalog/manifest.ts'
import { errorBodySchema } from '../../protocols/verge/error.ts'
import { speechFields } from '../../tasks/speech-parameters.ts'
import { type JsonSchema, jsonAnswer, type SchemaSet } from './schemas.ts'

/** The WebSockets of those models that hear streams. OpenAPI has no words for what follows a 101. */
export function streamPaths(schemas: SchemaSet, manifests: readonly Manifest[]): Record<string, JsonSchema> {
  return Object.fromEntries(
    manifests.flatMap(({ model, task, audio }) =>
      task === 'voice-activity-detection' && audio?.window !== undefined && !audio.normalize
        ? [[`/stream/${model}`, { get: streamOperation(schemas, model, audio.sampleRate) }]]
        : [],
    ),
  )
}

function streamOperation(schemas: SchemaSet, model: string, sampleRate: number): JsonSchema {
  const query = (name: string, schema: JsonSchema): JsonSchema => ({ name, in: 'query', schema })
  return {
    operationId: `stream_${model}`,
    tags: ['tasks'],
    summary: `voice-activity-detection on a stream: ${model}`,
    description: `A WebSocket. Send 16-bit little-endian PCM with one channel at ${sampleRate} Hz as binary messages, then {"type": "end"} as text. The server's messages are JSON with a "type": ready, probability, segment, end, error. A refusal is an error message and a close code of 4000 and the HTTP status.`,
    parameters: [
      query('version', { type: 'string' }),
      query('probabilities', { type: 'boolean', default: true }),
      ...Object.entries(speechFields).map(([name, schema]) => query(name, schemas.use(schema))),
    ],
    responses: {
      101: { description: 'The WebSocket' },
      default: jsonAnswer(schemas.use(errorBodySchema), 'The request is not a WebSocket upgrade: 426'),
    },
  }
}
