import type { Manifest } from '../../catalog/manifest.ts'
import { errorBodySchema } from '../../protocols/verge/error.ts'
import { speechFields } from '../../tasks/sounds/speech-parameters.ts'
import { MODEL_PARAMETER } from './parameters.ts'
import { type JsonSchema, jsonAnswer, type SchemaSet } from './schemas.ts'

/** The WebSockets of models that hear streams. OpenAPI has no words for what follows a 101. */
export function streamPaths(schemas: SchemaSet, manifests: readonly Manifest[]): Record<string, JsonSchema> {
  const any = { parameters: [MODEL_PARAMETER], get: streamOperation(schemas, undefined, "the model's rate") }
  return {
    '/stream/{model}': any,
    ...Object.fromEntries(
      manifests.flatMap(({ model, task, audio }) =>
        task === 'voice-activity-detection' && audio?.window !== undefined && !audio.normalize
          ? [[`/stream/${model}`, { get: streamOperation(schemas, model, `${audio.sampleRate} Hz`) }]]
          : [],
      ),
    ),
  }
}

function streamOperation(schemas: SchemaSet, model: string | undefined, rate: string): JsonSchema {
  const query = (name: string, schema: JsonSchema): JsonSchema => ({ name, in: 'query', schema })
  return {
    operationId: model === undefined ? 'stream' : `stream_${model}`,
    tags: ['tasks'],
    summary: `voice-activity-detection on a stream${model === undefined ? '' : `: ${model}`}`,
    description: `A WebSocket. Send 16-bit little-endian PCM with one channel at ${rate} as binary messages, then {"type": "end"} as text. The server's messages are JSON with a "type": ready, probability, segment, end, error. A refusal is an error message and a close code of 4000 and the HTTP status.`,
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
