import { validate } from '../../core/validation.ts'
import {
  type EmbeddingsRequest,
  type EmbeddingsResponse,
  embeddingsRequestSchema,
} from '../../protocols/openai/embeddings.ts'
import type { ModelCall } from '../task.ts'
import { assertCan } from '../text/abilities.ts'
import { answersOf } from './answers.ts'
import { inputsOf } from './embedding-inputs.ts'
import { embedVectors } from './vectors.ts'

export interface EmbeddingsEmbedder extends ModelCall {
  /** Told once the request has been accepted, before its texts are read. */
  readonly accepted?: () => void
}

/**
 * Answers a request for embeddings as OpenAI's clients send it, wherever the model runs.
 * @param body parsed JSON
 * @throws task_mismatch, invalid_request, and what `embedVectors` throws
 */
export async function answerEmbeddings(body: unknown, embedder: EmbeddingsEmbedder): Promise<EmbeddingsResponse> {
  const { accepted, limits, model } = embedder
  const { manifest } = model
  assertCan(manifest, 'embed')
  const request: EmbeddingsRequest = validate(embeddingsRequestSchema, body, 'The request')
  const { inputs, field } = inputsOf(request.input, 'input', limits)
  accepted?.()
  const { dimensions, encoding_format: encoding = 'float', kinds, late_chunking, prompt, prompt_name } = request
  const options = { dimensions, field, late_chunking, prompt, prompt_name }
  const vectors = await embedVectors(inputs, kinds ?? ['dense'], options, embedder)
  return {
    object: 'list',
    data: answersOf(vectors, encoding).map(({ dense, ...others }, index) => ({
      object: 'embedding',
      index,
      ...(dense && { embedding: dense }),
      ...others,
    })),
    model: manifest.model,
    usage: { prompt_tokens: vectors.total, total_tokens: vectors.total },
  }
}
