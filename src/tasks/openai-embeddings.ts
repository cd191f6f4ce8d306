import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import { validate } from '../core/validation.ts'
import {
  type EmbeddingsRequest,
  type EmbeddingsResponse,
  embeddingsRequestSchema,
} from '../protocols/openai/embeddings.ts'
import type { Embedder, EmbeddingInput } from './embedding.ts'
import { embedsTexts } from './embedding-models.ts'
import { checkTexts, fieldIn } from './texts.ts'
import { answersOf } from './vector-answers.ts'
import { embedVectors } from './vectors.ts'

export interface EmbeddingsEmbedder extends Embedder {
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
  if (!embedsTexts(manifest)) {
    throw new VergeError(
      'task_mismatch',
      `Model "${manifest.model}" does not make embeddings. GET /openapi.json shows the task of each model.`,
      { details: { field: 'model' } },
    )
  }
  const request = validate(embeddingsRequestSchema, body, 'The request')
  const { inputs, field } = inputsOf(request.input, limits)
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

interface Inputs {
  readonly inputs: readonly EmbeddingInput[]
  readonly field: (place: number) => string
}

/** One list of inputs, whichever of the four forms they came in. */
function inputsOf(input: EmbeddingsRequest['input'], limits: Limits): Inputs {
  const list = Array.isArray(input) && typeof input[0] !== 'number'
  const inputs = (list ? input : [input]) as readonly EmbeddingInput[]
  const field = fieldIn('input', list)
  // Token ids stand for themselves; as many of them as texts may be sent.
  checkTexts(
    inputs.map((each) => (typeof each === 'string' ? each : 'ids')),
    field,
    limits,
  )
  return { inputs, field }
}
